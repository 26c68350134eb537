// quarantine.jsonl: the images of a conversion that could not be used, one JSON object a line:
// {"split": ..., "path": ..., "reason": ...}.
#pragma once

#include <span>
#include <string>

#include "storage/file.h"

namespace bit::pipeline {

struct QuarantinedImage {
  std::string path;
  std::string reason;
};

// Replaces the lines of `split` in <directory>/quarantine.jsonl by `images`; an empty file is
// removed. Durable and atomic. Throws storage::StorageError.
void write_quarantine(storage::FileSystem& files, const std::string& directory,
                      const std::string& split, std::span<const QuarantinedImage> images);

}  // namespace bit::pipeline
