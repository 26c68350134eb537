// The forms of JPEG that StripDecoder knows, pictures that are hard on it, and short ways to decode
// with it alone.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "pipeline/jpeg/strip_decoder.h"
#include "tests/unit/pipeline/jpeg_forms.h"

namespace bit::pipeline {

inline JpegOptions stored_as_rgb(JpegOptions options) {
  options.rgb = true;
  return options;
}

// Every subsampling and colour that it has to accept.
inline const Form kStripForms[] = {
    {"grey", with(1, 1, 1)},
    {"grey_stored_as_2x2", with(1, 2, 2)},
    {"ycc_444", with(3, 1, 1)},
    {"ycc_422", with(3, 2, 1)},
    {"ycc_440", with(3, 1, 2)},
    {"ycc_420", with(3, 2, 2)},
    {"rgb_444", stored_as_rgb(with(3, 1, 1))},
    {"rgb_422", stored_as_rgb(with(3, 2, 1))},
    {"rgb_440", stored_as_rgb(with(3, 1, 2))},
    {"rgb_420", stored_as_rgb(with(3, 2, 2))},
};

enum class Picture { kMixed, kNoise, kGradient, kFlat, kExtreme };
inline constexpr Picture kPictures[] = {Picture::kMixed, Picture::kNoise, Picture::kGradient,
                                        Picture::kFlat, Picture::kExtreme};

// [height, width, components]; a function of `seed`.
inline Bytes picture(Picture kind, std::uint32_t width, std::uint32_t height, int components,
                     std::uint32_t seed) {
  if (kind == Picture::kMixed) return test_picture(width, height, components, seed);
  Bytes pixels;
  std::uint32_t noise = seed * 2654435761U + 1;
  for (std::uint32_t i = 0; i < width * height * static_cast<std::uint32_t>(components); ++i) {
    const std::uint32_t c = i % static_cast<std::uint32_t>(components);
    const std::uint32_t x = i / static_cast<std::uint32_t>(components) % width;
    const std::uint32_t y = i / static_cast<std::uint32_t>(components) / width;
    noise = noise * 1664525U + 1013904223U;
    std::uint32_t value = noise >> 24;
    if (kind == Picture::kGradient) value = (x * (c + 1) + y * (3 - c) + seed) / 2;
    if (kind == Picture::kFlat) value = seed * (c + 1);
    if (kind == Picture::kExtreme) value = (noise >> 31) != 0 ? 255 : 0;
    pixels.push_back(static_cast<std::uint8_t>(value));
  }
  return pixels;
}

inline std::uint32_t below(std::mt19937& random, std::uint32_t end) {
  return static_cast<std::uint32_t>(random() % end);
}

inline CropBox any_crop(std::mt19937& random, std::uint32_t width, std::uint32_t height) {
  CropBox crop{below(random, width), below(random, height), 0, 0};
  crop.width = 1 + below(random, width - crop.x);
  crop.height = 1 + below(random, height - crop.y);
  return crop;
}

inline std::string text(const CropBox& crop) {
  return std::to_string(crop.width) + "x" + std::to_string(crop.height) + " at " +
         std::to_string(crop.x) + ", " + std::to_string(crop.y);
}

// MCUs in a row of the file.
inline std::uint32_t mcu_columns(const JpegOptions& options, std::uint32_t width) {
  const std::uint32_t side = options.components == 1 ? 8 : 8 * options.horizontal;
  return (width + side - 1) / side;
}

// The crop by StripDecoder alone; nothing when it leaves the file to libjpeg.
inline std::optional<Bytes> decode_strip(StripDecoder& decoder, std::span<const std::byte> jpeg,
                                         const CropBox& crop) {
  if (!decoder.open(jpeg)) return std::nullopt;
  decoder.begin(crop);
  Bytes out;
  for (std::uint32_t y = 0; y < crop.height; ++y) {
    const std::uint8_t* row = decoder.next_row();
    if (row == nullptr) return std::nullopt;
    out.insert(out.end(), row, row + std::size_t{crop.width} * 3);
  }
  return out;
}

// Whether libjpeg-turbo's chroma is upsampled as StripDecoder knows it; else it has to leave the
// file alone.
inline bool wide_enough(const JpegOptions& options, std::uint32_t width) {
  return options.components == 1 || options.horizontal == 1 || width > 4;
}

}  // namespace bit::pipeline
