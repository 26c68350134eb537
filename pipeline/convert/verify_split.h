// Holds a split against everything that is written about it: dataset.json, the index, the sidecars,
// and every checksum; if wanted, every image is decoded. Memory: 24 bytes a record, 48 when
// decoding.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "schemas/dataset.pb.h"
#include "storage/file.h"

namespace bit::pipeline {

struct SplitProblem {
  std::string file;
  std::optional<std::uint64_t> record;  // 0-based, in the file
  std::optional<std::uint64_t> offset;  // bytes, of the record's first framing byte
  std::string reason;
  std::string key = {};  // of the image; empty when the record could not be read

  // "<file>: record <n> at byte <offset> (<key>): <reason>" with what is known.
  std::string text() const;
};

struct VerifyOptions {
  unsigned threads = 1;
  bool decode = false;  // every image, whole
};

// Two records of the split that hold the same.
struct SplitTwins {
  std::string first, again;  // "<file>: record <n>" and, if it can be read, its key in parentheses
};

// Images twice are no fault, but good to know of. Told by hashes.
struct SplitDuplicates {
  std::uint64_t records = 0;      // that repeat one before them
  std::vector<SplitTwins> first;  // a few of them, in the order of the split
};

struct VerifyReport {
  std::uint64_t records = 0;           // found good or bad
  std::uint64_t bytes = 0;             // of the shards
  std::vector<SplitProblem> problems;  // by shard and record
  SplitDuplicates same_key;            // records without a key aside
  SplitDuplicates same_pixels;         // when decoding: image size and every pixel
};

// `split` is an entry of the manifest of `directory`. `progress` is told the shards behind and in
// all, from the calling thread. Throws storage::StorageError for a disk that fails; what is missing
// or wrong is a problem.
VerifyReport verify_split(storage::FileSystem& files, const std::string& directory,
                          const schemas::DatasetManifest& manifest,
                          const schemas::DatasetManifest::Split& split,
                          const VerifyOptions& options,
                          const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

}  // namespace bit::pipeline
