// What stands before the coded data of a sequential JPEG (ITU-T T.81 §B.2), read and written.
// Reading knows the ordinary file only: one 8-bit Huffman-coded scan of all its components.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/jpeg/huffman.h"

namespace bit::pipeline {

// Larger images are refused by everything that decodes.
inline constexpr std::uint64_t kMaxJpegPixels = std::uint64_t{1} << 28;

// T.81 figure 5: where, by rows, the coefficients of a block lie that a file has one after the
// other.
inline constexpr std::array<std::uint8_t, 64> kZigzag = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

enum class JpegColors { kGrey, kYcc, kRgb, kCmyk, kYcck };

struct JpegComponent {
  std::uint8_t id = 0;
  std::uint8_t horizontal = 1, vertical = 1;  // sampling factors, 1..4: blocks in an MCU
  std::uint8_t quantization = 0;              // table, 0..3
  std::uint8_t dc = 0, ac = 0;                // Huffman tables, 0..3
};

struct JfifMarker {
  std::uint8_t major = 1, minor = 1;  // version
  std::uint8_t unit = 0;
  std::uint16_t x_density = 1, y_density = 1;
};

struct JpegHeader {
  std::uint16_t width = 0, height = 0;    // pixels
  std::vector<JpegComponent> components;  // 1, 3 or 4
  std::array<std::optional<std::array<std::uint8_t, 64>>, 4> quantization;
  std::array<std::optional<HuffmanTable>, 4> dc, ac;
  std::uint32_t restart_interval = 0;  // MCUs; 0: none
  std::optional<JfifMarker> jfif;
  std::optional<std::uint8_t> adobe;  // the colour transform of the Adobe marker
  std::size_t size = 0;               // bytes of the file before the coded data
};

// False when the file is damaged, too large or not ordinary, from its progressive mode to an MCU of
// more than ten blocks; else every table that a component names is there. Memory of `header` is
// reused.
bool read_jpeg_header(std::span<const std::byte> file, JpegHeader& header);

// As libjpeg guesses them (jdapimin.c, default_decompress_parms).
JpegColors jpeg_colors(const JpegHeader& header);

// As jpeg_write_coefficients of libjpeg does for a source with this header: JFIF or Adobe marker by
// the colours, whatever the source had; four components without Adobe marker stay so.
void write_jpeg_header(const JpegHeader& header, std::vector<std::byte>& out);

}  // namespace bit::pipeline
