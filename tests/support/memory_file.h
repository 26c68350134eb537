// Bytes in memory as a file, with a size and readable anywhere, or as a stream is: without a size
// and forwards only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>

#include "storage/file.h"

namespace bit::test {

class MemoryFile : public storage::ReadableFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset >= bytes_.size() || out.empty()) return 0;
    const std::size_t count = std::min<std::size_t>(out.size(), bytes_.size() - offset);
    std::memcpy(out.data(), bytes_.data() + offset, count);
    return count;
  }
  std::uint64_t size() const override { return bytes_.size(); }
  const std::string& path() const override { return path_; }

 private:
  std::span<const std::byte> bytes_;
  std::string path_ = "memory";
};

class MemoryStream final : public MemoryFile {
 public:
  using MemoryFile::MemoryFile;
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset < position_) throw std::logic_error("a stream read backwards");
    const std::size_t count = MemoryFile::read_at(offset, out);
    position_ = offset + count;
    return count;
  }
  std::uint64_t size() const override { return storage::kUnknownSize; }

 private:
  mutable std::uint64_t position_ = 0;
};

}  // namespace bit::test
