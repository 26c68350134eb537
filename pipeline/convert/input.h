// What a conversion reads: a numbered list of images with their labels. The numbering depends on
// the input alone, so that the seed decides the whole output. One implementation a file; see
// class_folders.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/convert/quarantine.h"

namespace bit::pipeline {

struct InputEntry {
  std::string key;   // name of the image within the input, kept in its record: "<class>/<file>"
  std::string path;  // for messages, and where it is read from
  std::vector<std::int32_t> labels;  // 0-based positions in class_names()
};

// Immutable; any thread.
class Input {
 public:
  virtual ~Input() = default;
  virtual const std::vector<std::string>& class_names() const = 0;
  virtual std::uint64_t entries() const = 0;
  virtual InputEntry entry(std::uint64_t number) const = 0;  // number < entries()
  // The bytes of an entry. Throws storage::StorageError.
  virtual std::vector<std::byte> read(const InputEntry& entry) const = 0;
  // What is wrong besides single images; counted with those that cannot be used.
  virtual const std::vector<QuarantinedImage>& problems() const = 0;
  // Of all entries; what is missing counts 0.
  virtual std::uint64_t total_bytes() const = 0;
};

}  // namespace bit::pipeline
