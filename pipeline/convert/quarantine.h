// What people read about a conversion, as JSON lines beside the shards: the images that could not
// be used, in quarantine.jsonl, and those that are equal, in duplicates.jsonl. docs/formats.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "storage/file.h"

namespace bit::pipeline {

struct QuarantinedImage {
  std::string path;
  std::string reason;
};

// Images with the same pixels.
struct DuplicateImages {
  std::vector<std::string> keys;
  std::vector<std::int32_t> labels;  // of all of them
  bool merged = false;               // they became one record
};

// Replaces the lines of `split` in <directory>/quarantine.jsonl by `images`; an empty file is
// removed. Durable and atomic. Throws storage::StorageError.
void write_quarantine(storage::FileSystem& files, const std::string& directory,
                      const std::string& split, std::span<const QuarantinedImage> images);
// The same for duplicates.jsonl.
void write_duplicates(storage::FileSystem& files, const std::string& directory,
                      const std::string& split, std::span<const DuplicateImages> groups);

}  // namespace bit::pipeline
