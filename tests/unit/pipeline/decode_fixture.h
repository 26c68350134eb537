// What the tests of each kind of image share.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pipeline/convert/decode_image.h"
#include "storage/tfrecord.h"
#include "tests/support/image_writers.h"

namespace bit::pipeline {

using test::Rgb;
using Pixels = std::vector<std::uint8_t>;

inline RgbImage decode(std::span<const std::byte> file) {
  JpegDecoder jpeg;
  return decode_image(file, jpeg);
}

inline std::string failure(std::span<const std::byte> file) {
  try {
    decode(file);
  } catch (const storage::DataError& error) {
    return error.what();
  }
  return "";
}

inline void expect_image(const RgbImage& image, std::uint32_t width, std::uint32_t height,
                         const Pixels& pixels) {
  EXPECT_EQ(image.width, width);
  EXPECT_EQ(image.height, height);
  EXPECT_EQ(image.pixels, pixels);
}

inline std::vector<std::uint16_t> samples(std::uint32_t width, std::uint32_t height, int channels,
                                          int bits) {
  std::vector<std::uint16_t> out;
  std::uint32_t noise = 7;
  for (std::uint32_t i = 0; i < width * height * static_cast<std::uint32_t>(channels); ++i) {
    noise = noise * 1664525u + 1013904223u;
    out.push_back(static_cast<std::uint16_t>(noise >> (32 - bits)));
  }
  return out;
}

inline std::vector<Rgb> palette_of(std::size_t colours) {
  std::vector<Rgb> palette;
  for (std::size_t i = 0; i < colours; ++i) {
    palette.push_back({static_cast<std::uint8_t>(i * 37), static_cast<std::uint8_t>(255 - i * 11),
                       static_cast<std::uint8_t>(i * i)});
  }
  return palette;
}

inline Pixels colours_of(std::span<const std::uint8_t> indices, const std::vector<Rgb>& palette) {
  Pixels out;
  for (const std::uint8_t index : indices) {
    out.insert(out.end(), palette[index].begin(), palette[index].end());
  }
  return out;
}

inline std::vector<std::uint8_t> indices_of(int count, int colours) {
  std::vector<std::uint8_t> out;
  for (int i = 0; i < count; ++i) out.push_back(static_cast<std::uint8_t>(i * i / 3 % colours));
  return out;
}

}  // namespace bit::pipeline
