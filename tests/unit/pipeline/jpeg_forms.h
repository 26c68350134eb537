// Every form of JPEG that the decoder's tests go through, and short ways to decode.
#pragma once

#include <cstdint>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "pipeline/jpeg.h"
#include "storage/tfrecord.h"
#include "tests/support/jpeg_writer.h"

namespace bit::pipeline {

using Bytes = std::vector<std::uint8_t>;
using test::JpegOptions;
using test::test_picture;
using test::write_jpeg;

inline std::vector<std::byte> picture_file(std::uint32_t width, std::uint32_t height,
                                           const JpegOptions& options = {}) {
  return write_jpeg(test_picture(width, height, options.components), width, height, options);
}

inline RgbImage decode_full(JpegDecoder& decoder, std::span<const std::byte> jpeg) {
  decoder.open(jpeg);
  return decoder.decode_full();
}

// One pixel of output for each of the crop: what decode() reads, unchanged.
inline Bytes decode_crop(JpegDecoder& decoder, std::span<const std::byte> jpeg,
                         const CropBox& crop) {
  decoder.open(jpeg);
  const std::uint32_t side = crop.width;
  Bytes out(std::size_t{side} * side * 3);
  decoder.decode({crop, side, crop.height, 0, 0, false}, side, out);
  return out;
}

inline Bytes cut(const RgbImage& image, const CropBox& crop) {
  Bytes out;
  for (std::uint32_t y = 0; y < crop.height; ++y) {
    const auto row = image.pixels.begin() + (std::size_t{crop.y + y} * image.width + crop.x) * 3;
    out.insert(out.end(), row, row + std::size_t{crop.width} * 3);
  }
  return out;
}

inline std::string failure(JpegDecoder& decoder, std::span<const std::byte> jpeg) {
  try {
    decode_full(decoder, jpeg);
  } catch (const storage::DataError& error) {
    return error.what();
  }
  return "no error";
}

constexpr std::uint8_t kQuantisationTables = 0xDB, kHuffmanTables = 0xC4;  // segment codes

// Of the segments that define tables, all with this code removed.
inline std::vector<std::byte> without_segments(const std::vector<std::byte>& jpeg,
                                               std::uint8_t code) {
  std::vector<std::byte> out(jpeg.begin(), jpeg.begin() + 2);
  std::size_t at = 2;
  while (jpeg[at + 1] != std::byte{0xDA}) {
    const auto length = std::to_integer<std::size_t>(jpeg[at + 2]) << 8 |
                        std::to_integer<std::size_t>(jpeg[at + 3]);
    const auto segment = std::span(jpeg).subspan(at, length + 2);
    if (jpeg[at + 1] != std::byte{code}) out.insert(out.end(), segment.begin(), segment.end());
    at += length + 2;
  }
  out.insert(out.end(), jpeg.begin() + static_cast<std::ptrdiff_t>(at), jpeg.end());
  return out;
}

struct Form {
  const char* name;
  JpegOptions options;
};

inline void PrintTo(const Form& form, std::ostream* out) { *out << form.name; }

inline JpegOptions with(int components, int horizontal, int vertical) {
  JpegOptions options;
  options.components = components;
  options.horizontal = horizontal;
  options.vertical = vertical;
  return options;
}

inline JpegOptions progressive(JpegOptions options) {
  options.progressive = true;
  return options;
}

inline JpegOptions arithmetic(JpegOptions options) {
  options.arithmetic = true;
  return options;
}

inline JpegOptions restarts(JpegOptions options) {
  options.restart_interval = 3;
  return options;
}

inline JpegOptions ycck(JpegOptions options) {
  options.ycck = true;
  return options;
}

inline const Form kForms[] = {
    {"rgb_444", with(3, 1, 1)},
    {"rgb_422", with(3, 2, 1)},
    {"rgb_420", with(3, 2, 2)},
    {"rgb_440", with(3, 1, 2)},
    {"rgb_411", with(3, 4, 1)},
    {"rgb_410", with(3, 4, 2)},
    {"rgb_441", with(3, 1, 4)},
    {"grey", with(1, 1, 1)},
    {"grey_stored_as_2x2", with(1, 2, 2)},
    {"cmyk", with(4, 1, 1)},
    {"ycck", ycck(with(4, 1, 1))},
    {"ycck_420", ycck(with(4, 2, 2))},
    {"rgb_420_restarts", restarts(with(3, 2, 2))},
    {"rgb_444_restarts", restarts(with(3, 1, 1))},
    {"progressive_444", progressive(with(3, 1, 1))},
    {"progressive_422", progressive(with(3, 2, 1))},
    {"progressive_420", progressive(with(3, 2, 2))},
    {"progressive_440", progressive(with(3, 1, 2))},
    {"progressive_grey", progressive(with(1, 1, 1))},
    {"progressive_ycck_420", progressive(ycck(with(4, 2, 2)))},
    {"arithmetic_420", arithmetic(with(3, 2, 2))},
    {"arithmetic_progressive_444", arithmetic(progressive(with(3, 1, 1)))},
};

}  // namespace bit::pipeline
