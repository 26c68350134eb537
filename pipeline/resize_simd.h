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

inline constexpr std::size_t kVectorBytes = 64;  // the widest load of blend_rows
// Rows are filtered by this many together, each column of them a vector: then no lane is idle,
// where a pixel's three channels would leave the fourth empty.
inline constexpr std::size_t kGroupRows = 32;
inline constexpr std::size_t kBlockPixels = 16;  // of output, put back into rows together

// How the pixels of an output row come from the pixels of an input row.
struct RowFilter {
  // Bytes of an input row from one pixel to the next, and from one channel of a pixel to the next.
  std::size_t pixel_step = 3, channel_step = 1;
  std::uint32_t pixels = 0;           // a multiple of kBlockPixels: the last are padding
  std::uint32_t pairs = 0;            // of taps, of every pixel
  std::vector<std::uint32_t> first;   // [pixels] tap
  std::vector<std::int32_t> weights;  // [pixels, pairs, 2]: two taps' high halves, then the low
};

// A group of rows on its way through filter_rows.
struct RowGroup {
  const std::uint8_t* rows = nullptr;  // [kGroupRows, stride]
  std::size_t stride = 0;              // bytes; a multiple of 16
  std::uint8_t* columns = nullptr;     // scratch [stride or the taps' reach, kGroupRows]
};

// out[kGroupRows, out_stride] = the filtered rows, 3 * pixels bytes of each.
void filter_rows(const RowFilter& filter, const RowGroup& group, std::uint8_t* out,
                 std::size_t out_stride);

// Two rows and the halves of their weights, the first row's in the low 16 bits.
struct RowPair {
  const std::uint8_t* first = nullptr;
  const std::uint8_t* second = nullptr;
  std::int32_t high = 0, low = 0;
};

// out[bytes] = the weighted sum of the rows, each readable up to the next multiple of kVectorBytes.
void blend_rows(std::span<const RowPair> pairs, std::size_t bytes, std::uint8_t* out);

}  // namespace bit::pipeline
