// JPEGs with an orientation in them, for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bit::test {

// An APP1 segment whose only tag is the orientation.
inline std::vector<std::byte> exif_segment(unsigned orientation, bool big_endian = false) {
  std::string tiff =
      big_endian ? std::string("MM\0*\0\0\0\x08", 8) : std::string("II*\0\x08\0\0\0", 8);
  const auto number = [&](unsigned value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      const int shift = 8 * (big_endian ? bytes - 1 - i : i);
      tiff.push_back(static_cast<char>(value >> shift));
    }
  };
  number(1, 2);            // entries
  number(274, 2);          // orientation
  number(3, 2);            // a short
  number(1, 4);            // one of them
  number(orientation, 2);  // in the first two bytes of the value
  number(0, 2);
  number(0, 4);  // no further directory
  const std::string payload = std::string("Exif\0\0", 6) + tiff;
  const std::size_t length = payload.size() + 2;
  std::vector<std::byte> segment = {std::byte{0xFF}, std::byte{0xE1},
                                    static_cast<std::byte>(length >> 8),
                                    static_cast<std::byte>(length)};
  for (const char c : payload) segment.push_back(static_cast<std::byte>(c));
  return segment;
}

// `jpeg` with the segment in its front.
inline std::vector<std::byte> with_segment(std::span<const std::byte> jpeg,
                                           std::span<const std::byte> segment) {
  std::vector<std::byte> file(jpeg.begin(), jpeg.begin() + 2);
  file.insert(file.end(), segment.begin(), segment.end());
  file.insert(file.end(), jpeg.begin() + 2, jpeg.end());
  return file;
}

}  // namespace bit::test
