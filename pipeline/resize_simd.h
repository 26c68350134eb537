// The two inner loops of the resize, compiled for every vector instruction set that Highway knows
// and chosen at run time. All give the same bytes: integers only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bit::pipeline {

// Fixed point of the weights, as Pillow's PRECISION_BITS. A weight travels as two 16-bit halves:
// high << kLowBits | low, so that products of bytes can be summed in pairs by 16-bit multiply-add.
inline constexpr int kWeightBits = 22;
inline constexpr std::int32_t kWeightOne = std::int32_t{1} << kWeightBits;
inline constexpr int kLowBits = 15;

// How the pixels of an output row come from an input row. Four taps are a step.
struct RowFilter {
  std::uint32_t pixels = 0;           // even: one of padding where the row is odd
  std::uint32_t steps = 0;            // of every pixel
  std::vector<std::uint32_t> offset;  // [pixels] bytes to the first tap
  // [pixels / 2, steps, 2 pixels, 8]: high halves of the four taps, then the low ones.
  std::vector<std::int16_t> weights;
};

// out[3 * pixels] = the filtered row; 8 bytes after it may be overwritten, and 16 after the last
// tap's pixel are readable.
void filter_row(const RowFilter& filter, const std::uint8_t* row, std::uint8_t* out);

// Two rows and the halves of their weights, the first row's in the low 16 bits.
struct RowPair {
  const std::uint8_t* first = nullptr;
  const std::uint8_t* second = nullptr;
  std::int32_t high = 0, low = 0;
};

inline constexpr std::size_t kVectorBytes = 64;  // the widest load of blend_rows

// out[bytes] = the weighted sum of the rows, each readable up to the next multiple of kVectorBytes.
void blend_rows(std::span<const RowPair> pairs, std::size_t bytes, std::uint8_t* out);

}  // namespace bit::pipeline
