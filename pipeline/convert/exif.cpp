#include "pipeline/convert/exif.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

namespace bit::pipeline {
namespace {

constexpr std::uint8_t kApp1 = 0xE1, kStartOfScan = 0xDA, kEndOfImage = 0xD9;
constexpr std::size_t kEntryBytes = 12;
constexpr std::uint32_t kOrientationTag = 274, kShort = 3;  // TIFF 6.0 §2

std::uint8_t byte_at(std::span<const std::byte> bytes, std::size_t offset) {
  return std::to_integer<std::uint8_t>(bytes[offset]);
}

// A block of TIFF: numbers of one byte order, offsets from its start.
class Tiff {
 public:
  explicit Tiff(std::span<const std::byte> bytes) : bytes_(bytes) {}

  // Nothing when it is not TIFF or has no such tag.
  std::optional<std::uint32_t> orientation() {
    if (bytes_.size() < 8) return {};
    big_endian_ = byte_at(bytes_, 0) == 'M';
    if (!big_endian_ && byte_at(bytes_, 0) != 'I') return {};
    if (number(2, 2) != 42) return {};
    const std::size_t directory = number(4, 4);
    if (directory > bytes_.size() - 2) return {};
    const std::size_t there = (bytes_.size() - directory - 2) / kEntryBytes;
    const std::size_t entries = std::min<std::size_t>(number(directory, 2), there);
    for (std::size_t i = 0; i < entries; ++i) {
      const std::size_t entry = directory + 2 + i * kEntryBytes;  // tag, type, count, value
      if (number(entry, 2) != kOrientationTag) continue;
      if (number(entry + 2, 2) != kShort || number(entry + 4, 4) != 1) return {};
      return number(entry + 8, 2);
    }
    return {};
  }

 private:
  // The caller has seen that the bytes are there.
  std::uint32_t number(std::size_t offset, std::size_t bytes) const {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      value = value << 8 | byte_at(bytes_, offset + (big_endian_ ? i : bytes - 1 - i));
    }
    return value;
  }

  std::span<const std::byte> bytes_;
  bool big_endian_ = false;
};

bool starts_with(std::span<const std::byte> bytes, std::string_view text) {
  return bytes.size() >= text.size() &&
         std::ranges::equal(bytes.first(text.size()), text, {}, {},
                            [](char c) { return std::byte(static_cast<unsigned char>(c)); });
}

// What follows "Exif\0\0" in the first such segment; empty when there is none. Bytes between
// segments are passed over, as libjpeg does.
std::span<const std::byte> exif_of(std::span<const std::byte> jpeg) {
  constexpr std::string_view kName("Exif\0\0", 6);
  std::size_t at = 2;
  while (at + 4 <= jpeg.size()) {
    const std::uint8_t code = byte_at(jpeg, at + 1);
    if (byte_at(jpeg, at) != 0xFF || code == 0xFF || code < 0xC0) {
      ++at;
      continue;
    }
    if (code == kStartOfScan || code == kEndOfImage) break;
    const std::size_t length = std::size_t{byte_at(jpeg, at + 2)} << 8 | byte_at(jpeg, at + 3);
    if (length < 2 || length > jpeg.size() - at - 2) break;
    const auto payload = jpeg.subspan(at + 4, length - 2);
    if (code == kApp1 && starts_with(payload, kName)) return payload.subspan(kName.size());
    at += 2 + length;
  }
  return {};
}

}  // namespace

unsigned exif_orientation(std::span<const std::byte> jpeg) {
  const auto orientation = Tiff(exif_of(jpeg)).orientation();
  return orientation && *orientation >= 1 && *orientation <= 8 ? *orientation : 1;
}

}  // namespace bit::pipeline
