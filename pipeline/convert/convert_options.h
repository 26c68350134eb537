// What a conversion is told to do, and whether that can be in the directory it is to be done in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/convert/normalize_image.h"
#include "schemas/dataset.pb.h"
#include "storage/file.h"

namespace bit::pipeline {

// Five digits in the file name.
inline constexpr std::uint32_t kMaxShards = 99999;

struct ConvertOptions {
  std::string output;        // directory of the dataset; made when it does not exist
  std::string name;          // of the dataset; letters, digits, `_`, `.` and `-`
  std::string split;         // the same
  std::uint32_t shards = 0;  // 0: shards of about 128 MiB
  std::uint64_t seed = 0;    // of the shuffle
  NormalizeOptions image;
  bool merge_duplicates = false;  // equal images become one record with the labels of all
  std::string input;              // everything that decides what is listed, as text
  // The rest does not change the output.
  unsigned threads = 1;
  unsigned rank = 0, ranks = 1;
  std::uint64_t max_bad = 0;  // images and empty classes that may be left out
  bool overwrite = false;     // an existing split is replaced
};

// What can be told without the input: names that cannot be, another dataset in the directory, a
// split that exists. Throws std::invalid_argument with a sentence; DataError, StorageError.
void check_options(storage::FileSystem& files, const ConvertOptions& options);

// Hash of all that decides the output but the images, 16 hexadecimal digits.
std::string identity_of(const ConvertOptions& options);

// dataset.json as it is, held against the options; empty when there is none yet. Throws as
// check_options().
schemas::DatasetManifest manifest_before(storage::FileSystem& files, const ConvertOptions& options);

// The same with the classes of the input, which may only change with the only split. Throws
// storage::DataError when they are not the dataset's.
schemas::DatasetManifest dataset_before(storage::FileSystem& files, const ConvertOptions& options,
                                        const std::vector<std::string>& class_names);

}  // namespace bit::pipeline
