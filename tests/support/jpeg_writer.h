// Makes JPEG files of every kind for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bit::test {

struct JpegOptions {
  int components = 3;                // of `pixels`: 1 grey, 3 RGB, 4 CMYK
  int horizontal = 1, vertical = 1;  // luma samples for each chroma sample: 2, 2 is 4:2:0
  int quality = 90;
  bool progressive = false;
  bool arithmetic = false;
  unsigned restart_interval = 0;  // MCUs; 0: none
  bool optimized = false;         // Huffman tables made for the picture
  bool rgb = false;               // of RGB: stored so, with Adobe's marker
  bool ycck = false;              // of CMYK: stored as YCCK
  bool adobe_marker = true;       // of CMYK: without it the ink is not inverted
};

// `pixels` [height, width, components] uint8.
std::vector<std::byte> write_jpeg(std::span<const std::uint8_t> pixels, std::uint32_t width,
                                  std::uint32_t height, const JpegOptions& options = {});

// A grey file of these quantised coefficients, [rows, columns, 64] by row: at most 1023 either way.
std::vector<std::byte> write_coefficients(std::span<const std::int16_t> coefficients,
                                          std::uint32_t columns, std::uint32_t rows,
                                          std::span<const std::uint8_t, 64> quantization);

// A picture with edges, gradients and colour noise, [height, width, components]; a function of
// `seed`.
std::vector<std::uint8_t> test_picture(std::uint32_t width, std::uint32_t height,
                                       int components = 3, std::uint32_t seed = 1);

}  // namespace bit::test
