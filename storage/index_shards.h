// Indexes TFRecord files that are there already, ours or foreign: one sequential pass over each
// with both checksums of every record verified, for `bit-shard index` and `bit-shard convert`.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "schemas/dataset.pb.h"
#include "storage/file.h"
#include "storage/record_index.h"

namespace bit::storage {

struct IndexOptions {
  // Write `<shard>.idx` beside each shard: "<offset> <size>\n" a record, as DALI's tfrecord2idx
  // does.
  bool write_sidecars = true;
};

struct IndexSummary {
  RecordIndexBuilder index;
  schemas::DatasetManifest::Split split;  // name, records, shards with sizes and checksums
  LabelStatistics labels;
  std::uint64_t bytes = 0;       // of all shards
  std::uint64_t unlabelled = 0;  // records without a label
};

// Told after every record how many bytes of the shards are behind; from the calling thread.
using IndexProgress = std::function<void(std::uint64_t bytes, std::uint64_t of_bytes)>;

// `shards` are names relative to `directory`, in the order of the split. Image sizes are those that
// the records state, else unknown. Throws StorageError; DataError naming file, record and offset at
// the first record that is truncated, damaged or not an image with a known label convention
// (storage/example.h).
IndexSummary index_shards(FileSystem& files, const std::string& directory, const std::string& split,
                          std::span<const std::string> shards, const IndexOptions& options = {},
                          const IndexProgress& progress = {});

// One line of an `.idx` sidecar.
std::string sidecar_line(std::uint64_t offset, std::uint64_t bytes);

}  // namespace bit::storage
