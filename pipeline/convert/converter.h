// Images to the shards of a split: shuffled by the seed, normalised by several threads, written in
// order, published together. Equal input, seed and shard count give equal bytes for any number of
// threads.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "pipeline/convert/input.h"
#include "pipeline/convert/normalize_image.h"
#include "pipeline/convert/quarantine.h"
#include "storage/file.h"

namespace bit::pipeline {

struct ConvertOptions {
  std::string output;        // directory of the dataset; made when it does not exist
  std::string name;          // of the dataset; letters, digits, `_`, `.` and `-`
  std::string split;         // the same
  std::uint32_t shards = 0;  // 0: shards of about 128 MiB
  std::uint64_t seed = 0;    // of the shuffle
  unsigned threads = 1;
  JpegMode jpeg = JpegMode::kLossless;
  std::uint64_t max_bad = 0;  // images and empty classes that may be left out
  bool overwrite = false;     // an existing split is replaced
};

struct ConvertProgress {
  std::uint64_t images = 0;  // done, bad ones included
  std::uint64_t total = 0;
  std::uint64_t bytes = 0;  // written
};

struct ConvertReport {
  bool published = false;  // false: more than max_bad images are bad, or none is good
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  // of all shards
  std::uint32_t shards = 0;
  std::vector<QuarantinedImage> bad;  // problems of the input, then in the order of the output
};

// What can be told without the input: names that cannot be, another dataset in the directory, a
// split that exists. Throws std::invalid_argument with a sentence; DataError, StorageError.
void check_options(storage::FileSystem& files, const ConvertOptions& options);

// `progress` is called from the calling thread after each image. Memory: at most 16 images a
// thread, and 256 MiB of them beyond those being worked on.
// Throws std::invalid_argument with a sentence for options that cannot be (a split that exists,
// more shards than images, ...); storage::DataError for class names other than the dataset's;
// storage::StorageError, naming the file. Nothing of the split is published then.
ConvertReport convert(const Input& input, storage::FileSystem& files, const ConvertOptions& options,
                      const std::function<void(const ConvertProgress&)>& progress = {});

}  // namespace bit::pipeline
