// Writes zip archives: stored members one after the other, ZIP64 where it is needed (PKWARE APPNOTE
// 6.3.9, sections 4.3 to 4.5).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/file.h"

namespace bit::storage {

// Writes stored members one after the other into an open, empty file, which the caller syncs and
// closes. Fields of 64 bits are used for what 32 bits cannot say, and for nothing else. The same
// members give the same bytes: their date is 1980-01-01.
class ZipWriter {
 public:
  explicit ZipWriter(WritableFile& file) : file_(file) {}
  // A member whose content is the pieces one after the other. Throws std::invalid_argument for a
  // name that was used, StorageError.
  void add(const std::string& name, std::span<const std::span<const std::byte>> pieces);
  // Writes the central directory. Nothing can be added afterwards.
  void finish();

 private:
  struct Written {
    std::string name;
    std::uint32_t crc32 = 0;
    std::uint64_t bytes = 0;
    std::uint64_t offset = 0;  // of the local header
  };
  void append(std::string_view text);
  void append_central_header(const Written& member);

  WritableFile& file_;
  std::vector<Written> members_;
  std::uint64_t position_ = 0;
};

}  // namespace bit::storage
