// A split of a dataset: an ordered list of shards, and for each record where it lies and what its
// labels are. The binary index (docs/formats.md) is memory-mapped, so opening costs nothing per
// record and processes of a host share the pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "storage/file.h"
#include "storage/tfrecord.h"

namespace bit::storage {

// Where record `i` of a split lies.
struct RecordLocation {
  std::uint32_t shard = 0;
  std::uint64_t offset = 0;  // of the record's first framing byte in the shard
  std::uint64_t bytes = 0;   // framing included
};

class RecordIndex;  // storage/record_index.h

// Immutable; may be used from several threads.
class Dataset {
 public:
  // Opens `directory`'s `split` through its dataset.json and binary index, and checks that the
  // shards exist with the sizes the index was made from. Throws StorageError for missing files;
  // DataError for a stale or damaged index, an unknown split (naming those there are) or an
  // incomplete shard set.
  static Dataset open(const std::string& directory, const std::string& split);

  Dataset(Dataset&&) noexcept;
  Dataset& operator=(Dataset&&) noexcept;
  ~Dataset();

  const std::string& directory() const;
  const std::string& split() const;
  std::uint64_t records() const;
  std::uint64_t bytes() const;  // of all shards
  std::uint32_t classes() const;
  const std::vector<std::string>& class_names() const;
  // Paths of the shards, in order.
  const std::vector<std::string>& shards() const;

  RecordLocation location(std::uint64_t record) const;
  std::span<const std::int32_t> labels(std::uint64_t record) const;  // 0-based, view into the index
  std::uint32_t width(std::uint64_t record) const;                   // pixels, 0 if unknown
  std::uint32_t height(std::uint64_t record) const;

  // The open shard, for positioned reads from any thread. Files are opened at first use and stay
  // open.
  const ReadableFile& shard_file(std::uint32_t shard) const;

  // Hash of everything the order and the labels depend on: shard names, sizes, locations, labels,
  // class names. Equal on all ranks or the ranks see different data. 16 hexadecimal digits.
  std::string hash() const;

 private:
  struct Impl;
  explicit Dataset(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bit::storage
