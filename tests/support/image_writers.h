// Makes PNG, WebP and GIF files for tests, through the libraries' own writers, and BMP by hand.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace bit::test {

using Rgb = std::array<std::uint8_t, 3>;

enum class PngColour { kGrey, kGreyAlpha, kRgb, kRgba, kPalette };

struct PngOptions {
  PngColour colour = PngColour::kRgb;
  int bits = 8;  // of a sample
  bool interlaced = false;
  std::vector<Rgb> palette = {};
  bool transparent = false;  // tRNS: colour 0, black, or the first of the palette
};

// `samples` [height, width, channels], each below 2^bits.
std::vector<std::byte> write_png(std::span<const std::uint16_t> samples, std::uint32_t width,
                                 std::uint32_t height, const PngOptions& options);

// `pixels` [height, width, 3 or 4]; colours under transparent pixels are kept.
std::vector<std::byte> write_webp(std::span<const std::uint8_t> pixels, std::uint32_t width,
                                  std::uint32_t height, bool lossless);

struct GifOptions {
  std::vector<Rgb> palette;  // a power of two of them
  int left = 0, top = 0;     // of the frame on the canvas
  int canvas_width = 0, canvas_height = 0;
  bool interlaced = false;
  bool local_palette = false;  // belongs to the frame; the file's is blue throughout
  std::optional<int> transparent = {};
};

// `indices` [height, width] into the palette; a second, different frame follows.
std::vector<std::byte> write_gif(std::span<const std::uint8_t> indices, int width, int height,
                                 const GifOptions& options);

struct BmpOptions {
  int bits = 24;
  std::uint32_t compression = 0;  // 0 none, 1 RLE8, 2 RLE4, 3 masks
  bool top_down = false;
  bool os2 = false;  // the header of 12 bytes
  std::vector<Rgb> palette = {};
  std::vector<std::uint32_t> masks = {};  // red, green, blue
};

// `data`: what follows the header, as it is stored.
std::vector<std::byte> write_bmp(std::span<const std::uint8_t> data, int width, int height,
                                 const BmpOptions& options);

}  // namespace bit::test
