// Samples to RGB: the smooth upsampling and the colour conversion of libjpeg (jdsample.c,
// jdcolor.c), to the same bytes. Compiled for every vector instruction set that Highway knows and
// chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bit::pipeline {

// Bytes after each input and output of these that may be read and overwritten, and 16-bit sums
// likewise.
inline constexpr std::size_t kRowSlack = 128;

// Rows of half height: out = (3 near + far + bias) / 4; bias is 1 for the upper of the two rows
// that a row of input becomes, 2 for the lower.
void upsample_vertically(const std::uint8_t* near, const std::uint8_t* far, std::size_t count,
                         int bias, std::uint8_t* out);

// Rows of half width. `in` has count + 2 samples, of which the first and the last are neighbours;
// out [2 count].
void upsample_horizontally(const std::uint8_t* in, std::size_t count, std::uint8_t* out);

// Both: sums [count + 2] = 3 near + far, then out [2 count].
void sum_rows(const std::uint8_t* near, const std::uint8_t* far, std::size_t count,
              std::uint16_t* sums);
void upsample_sums(const std::uint16_t* sums, std::size_t count, std::uint8_t* out);

// Where the colours of a row go, each [count] and up to the next multiple of kColorUnit.
struct RgbPlanes {
  std::uint8_t *red = nullptr, *green = nullptr, *blue = nullptr;
};
inline constexpr std::size_t kColorUnit = 32;

void ycc_to_rgb(const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr,
                std::size_t count, const RgbPlanes& rgb);

// rgb [count, 3].
void interleave_rgb(const RgbPlanes& planes, std::size_t count, std::uint8_t* rgb);

}  // namespace bit::pipeline
