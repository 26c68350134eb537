// Highway compiles this file once for each instruction set; HWY_DYNAMIC_DISPATCH takes the best
// that the machine has.
#include "pipeline/resize_simd.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "pipeline/resize_simd.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace bit::pipeline {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == \
    HWY_SCALAR  // a machine without vectors that Highway knows: the same sums, one at a time

std::uint8_t to_byte(std::int32_t high, std::int32_t low) {
  return static_cast<std::uint8_t>(
      std::min(((high << kLowBits) + low + kWeightOne / 2) >> kWeightBits, 255));
}

std::int32_t add_pair(std::int32_t weights, std::int32_t first, std::int32_t second) {
  return first * (weights & 0xffff) + second * (weights >> 16);
}

void filter_rows_simd(const RowFilter& filter, const RowGroup& group, std::uint8_t* out,
                      std::size_t out_stride) {
  for (std::size_t y = 0; y < kGroupRows; ++y) {
    for (std::size_t i = 0; i < std::size_t{filter.pixels} * 3; ++i) {
      const std::size_t pixel = i / 3;
      const std::size_t tap = filter.first[pixel] * filter.pixel_step + i % 3 * filter.channel_step;
      const std::int32_t* weights = filter.weights.data() + pixel * filter.pairs * 2;
      std::int32_t high = 0, low = 0;
      for (std::size_t pair = 0; pair < filter.pairs; ++pair, weights += 2) {
        const std::size_t here = tap + pair * 2 * filter.pixel_step;
        const auto at = [&](std::size_t byte) {  // past the row only where the weight is zero
          return byte < group.stride ? std::int32_t{group.rows[y * group.stride + byte]} : 0;
        };
        const std::int32_t first = at(here), second = at(here + filter.pixel_step);
        high += add_pair(weights[0], first, second);
        low += add_pair(weights[1], first, second);
      }
      out[y * out_stride + i] = to_byte(high, low);
    }
  }
}

void blend_rows_simd(std::span<const RowPair> pairs, std::size_t bytes, std::uint8_t* out) {
  for (std::size_t i = 0; i < bytes; ++i) {
    std::int32_t high = 0, low = 0;
    for (const RowPair& pair : pairs) {
      high += add_pair(pair.high, pair.first[i], pair.second[i]);
      low += add_pair(pair.low, pair.first[i], pair.second[i]);
    }
    out[i] = to_byte(high, low);
  }
}

#else

// Sums of products of neighbouring 16-bit lanes. Highway leaves open which of two registers a
// product lands in.
template <class D32>
struct PairSum {
  hn::Vec<D32> even, odd;

  HWY_ATTR explicit PairSum(D32 d) : even(hn::Zero(d)), odd(hn::Zero(d)) {}
  template <class V16>
  HWY_ATTR void add(V16 a, V16 b) {
    even = hn::ReorderWidenMulAccumulate(D32(), a, b, even, odd);
  }
  HWY_ATTR hn::Vec<D32> total() const { return hn::RearrangeToOddPlusEven(even, odd); }
};

// (high * 2^kLowBits + low), rounded from fixed point: 0 ... 256.
template <class D32>
HWY_ATTR hn::Vec<D32> rounded(D32 d, const PairSum<D32>& high, const PairSum<D32>& low) {
  const auto sum = hn::Add(hn::ShiftLeft<kLowBits>(high.total()), low.total());
  return hn::ShiftRight<kWeightBits>(hn::Add(sum, hn::Set(d, kWeightOne / 2)));
}

constexpr std::uint8_t kZ = 0x80;  // TableLookupBytesOr0 gives zero
alignas(64) constexpr std::uint8_t kEvenToLow[64] = {
    0,  2,  4,  6,  8,  10, 12, 14, kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, 0,  2,  4,  6,  8,  10,
    12, 14, kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, 0,  2,  4,  6,  8,  10, 12, 14, kZ, kZ, kZ, kZ,
    kZ, kZ, kZ, kZ, 0,  2,  4,  6,  8,  10, 12, 14, kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ};
alignas(64) constexpr std::uint8_t kEvenToHigh[64] = {
    kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, 0,  2,  4,  6,  8,  10, 12, 14, kZ, kZ, kZ, kZ, kZ, kZ,
    kZ, kZ, 0,  2,  4,  6,  8,  10, 12, 14, kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, 0,  2,  4,  6,
    8,  10, 12, 14, kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, 0,  2,  4,  6,  8,  10, 12, 14};

// The weighted sum of vectors of bytes. `tap(i)` gives the RowPair i of `pairs`, which kPairs is
// when known beforehand, else 0.
template <std::size_t kPairs, class D8, class Tap>
HWY_ATTR HWY_INLINE hn::Vec<D8> weighted_sum(D8 d8, std::size_t pairs, Tap tap) {
  const hn::Repartition<std::int16_t, D8> d16;
  const hn::Repartition<std::int32_t, D8> d32;
  PairSum high0(d32), high1(d32), high2(d32), high3(d32);
  PairSum low0(d32), low1(d32), low2(d32), low3(d32);
  const auto zero = hn::Zero(d8);
  HWY_UNROLL(3)
  for (std::size_t i = 0; i < (kPairs == 0 ? pairs : kPairs); ++i) {
    const RowPair pair = tap(i);
    const auto first = hn::LoadU(d8, pair.first), second = hn::LoadU(d8, pair.second);
    const auto lower = hn::InterleaveLower(d8, first, second),
               upper = hn::InterleaveUpper(d8, first, second);
    const auto pairs0 = hn::BitCast(d16, hn::InterleaveLower(d8, lower, zero));
    const auto pairs1 = hn::BitCast(d16, hn::InterleaveUpper(d8, lower, zero));
    const auto pairs2 = hn::BitCast(d16, hn::InterleaveLower(d8, upper, zero));
    const auto pairs3 = hn::BitCast(d16, hn::InterleaveUpper(d8, upper, zero));
    const auto high = hn::BitCast(d16, hn::Set(d32, pair.high));
    const auto low = hn::BitCast(d16, hn::Set(d32, pair.low));
    high0.add(pairs0, high), low0.add(pairs0, low);
    high1.add(pairs1, high), low1.add(pairs1, low);
    high2.add(pairs2, high), low2.add(pairs2, low);
    high3.add(pairs3, high), low3.add(pairs3, low);
  }
  const auto most = hn::Set(d16, 255);
  const auto words01 = hn::Min(
      most, hn::ReorderDemote2To(d16, rounded(d32, high0, low0), rounded(d32, high1, low1)));
  const auto words23 = hn::Min(
      most, hn::ReorderDemote2To(d16, rounded(d32, high2, low2), rounded(d32, high3, low3)));
  return hn::Or(hn::TableLookupBytesOr0(hn::BitCast(d8, words01), hn::Load(d8, kEvenToLow)),
                hn::TableLookupBytesOr0(hn::BitCast(d8, words23), hn::Load(d8, kEvenToHigh)));
}

// Transposes 16 x 16 bytes in every block of 16 bytes: the bits of (row, column) turn by one with
// each round. Unrolled, or the vectors would live in memory.
template <class D8>
HWY_ATTR HWY_INLINE void transpose(D8 d8, hn::Vec<D8> (&rows)[16]) {
  HWY_UNROLL(4)
  for (int round = 0; round < 4; ++round) {
    hn::Vec<D8> turned[16];
    HWY_UNROLL(8)
    for (int i = 0; i < 8; ++i) {
      turned[2 * i] = hn::InterleaveLower(d8, rows[i], rows[i + 8]);
      turned[2 * i + 1] = hn::InterleaveUpper(d8, rows[i], rows[i + 8]);
    }
    HWY_UNROLL(16)
    for (int i = 0; i < 16; ++i) rows[i] = turned[i];
  }
}

// Rows y and, where a vector holds two blocks, y + 16: 16 bytes of each.
template <class D8>
HWY_ATTR HWY_INLINE hn::Vec<D8> load_blocks(D8 d8, const std::uint8_t* row, std::size_t stride) {
  if constexpr (hn::MaxLanes(D8()) == 32) {
    const hn::Half<D8> block;
    return hn::Combine(d8, hn::LoadU(block, row + 16 * stride), hn::LoadU(block, row));
  } else {
    return hn::LoadU(d8, row);
  }
}

template <class D8>
HWY_ATTR HWY_INLINE void store_blocks(D8 d8, hn::Vec<D8> blocks, std::uint8_t* row,
                                      std::size_t stride) {
  if constexpr (hn::MaxLanes(D8()) == 32) {
    const hn::Half<D8> block;
    hn::StoreU(hn::LowerHalf(block, blocks), block, row);
    hn::StoreU(hn::UpperHalf(block, blocks), block, row + 16 * stride);
  } else {
    hn::StoreU(blocks, d8, row);
  }
}

using Columns = hn::CappedTag<std::uint8_t, kGroupRows>;

// columns[16, kGroupRows] of rows[kGroupRows, stride].
HWY_ATTR void rows_to_columns(const std::uint8_t* rows, std::size_t stride, std::uint8_t* columns) {
  const Columns d8;
  hn::Vec<Columns> square[16];
  for (std::size_t top = 0; top < kGroupRows; top += hn::MaxLanes(d8)) {
    HWY_UNROLL(16)
    for (std::size_t i = 0; i < 16; ++i) {
      square[i] = load_blocks(d8, rows + (top + i) * stride, stride);
    }
    transpose(d8, square);
    HWY_UNROLL(16)
    for (std::size_t i = 0; i < 16; ++i) hn::StoreU(square[i], d8, columns + i * kGroupRows + top);
  }
}

// The way back.
HWY_ATTR void columns_to_rows(const std::uint8_t* columns, std::uint8_t* rows, std::size_t stride) {
  const Columns d8;
  hn::Vec<Columns> square[16];
  for (std::size_t top = 0; top < kGroupRows; top += hn::MaxLanes(d8)) {
    HWY_UNROLL(16)
    for (std::size_t i = 0; i < 16; ++i) square[i] = hn::LoadU(d8, columns + i * kGroupRows + top);
    transpose(d8, square);
    HWY_UNROLL(16)
    for (std::size_t i = 0; i < 16; ++i) {
      store_blocks(d8, square[i], rows + (top + i) * stride, stride);
    }
  }
}

template <std::size_t kPairs>
HWY_ATTR void filter_columns(const RowFilter& filter, const std::uint8_t* columns,
                             std::uint8_t* out, std::size_t out_stride) {
  constexpr std::size_t kPixel = 3 * kGroupRows;  // bytes, of what is filtered
  const std::size_t pixel_step = filter.pixel_step * kGroupRows;
  const std::size_t channel_step = filter.channel_step * kGroupRows;
  const Columns d8;
  const std::size_t pairs = kPairs == 0 ? filter.pairs : kPairs;
  alignas(64) std::uint8_t filtered[kBlockPixels * kPixel];
  for (std::size_t block = 0; block < filter.pixels; block += kBlockPixels) {
    for (std::size_t i = 0; i < kBlockPixels; ++i) {
      const std::uint8_t* first = columns + filter.first[block + i] * pixel_step;
      const std::int32_t* const weights = filter.weights.data() + (block + i) * pairs * 2;
      std::uint8_t* const pixel = filtered + i * kPixel;
      for (std::size_t channel = 0; channel < kPixel; channel += kGroupRows) {
        for (std::size_t row = 0; row < kGroupRows; row += hn::MaxLanes(d8)) {
          const auto tap = [=](std::size_t pair) HWY_ATTR {
            const std::uint8_t* column = first + row + pair * 2 * pixel_step;
            return RowPair{column, column + pixel_step, weights[pair * 2], weights[pair * 2 + 1]};
          };
          hn::Store(weighted_sum<kPairs>(d8, pairs, tap), d8, pixel + channel + row);
        }
        first += channel_step;
      }
    }
    for (std::size_t i = 0; i < kBlockPixels * 3; i += 16) {
      columns_to_rows(filtered + i * kGroupRows, out + block * 3 + i, out_stride);
    }
  }
}

void filter_rows_simd(const RowFilter& filter, const RowGroup& group, std::uint8_t* out,
                      std::size_t out_stride) {
  for (std::size_t i = 0; i < group.stride; i += 16) {
    rows_to_columns(group.rows + i, group.stride, group.columns + i * kGroupRows);
  }
  switch (filter.pairs) {
    case 1:
      return filter_columns<1>(filter, group.columns, out, out_stride);
    case 2:
      return filter_columns<2>(filter, group.columns, out, out_stride);
    case 3:
      return filter_columns<3>(filter, group.columns, out, out_stride);
    default:
      return filter_columns<0>(filter, group.columns, out, out_stride);
  }
}

template <std::size_t kPairs>
HWY_ATTR void blend(std::span<const RowPair> pairs, std::size_t bytes, std::uint8_t* out) {
  const hn::CappedTag<std::uint8_t, kVectorBytes> d8;
  const std::size_t lanes = hn::Lanes(d8);
  const auto vector = [&](std::size_t column) HWY_ATTR {
    return weighted_sum<kPairs>(d8, pairs.size(), [&](std::size_t i) HWY_ATTR {
      const RowPair& pair = pairs[i];
      return RowPair{pair.first + column, pair.second + column, pair.high, pair.low};
    });
  };
  std::size_t column = 0;
  for (; column + lanes <= bytes; column += lanes) hn::StoreU(vector(column), d8, out + column);
  if (column < bytes) {
    alignas(64) std::uint8_t tail[kVectorBytes];
    hn::Store(vector(column), d8, tail);
    std::memcpy(out + column, tail, bytes - column);
  }
}

void blend_rows_simd(std::span<const RowPair> pairs, std::size_t bytes, std::uint8_t* out) {
  switch (pairs.size()) {
    case 1:
      return blend<1>(pairs, bytes, out);
    case 2:
      return blend<2>(pairs, bytes, out);
    default:
      return blend<0>(pairs, bytes, out);
  }
}

#endif  // HWY_TARGET == HWY_SCALAR
}  // namespace HWY_NAMESPACE
}  // namespace bit::pipeline
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bit::pipeline {

HWY_EXPORT(filter_rows_simd);
HWY_EXPORT(blend_rows_simd);

void filter_rows(const RowFilter& filter, const RowGroup& group, std::uint8_t* out,
                 std::size_t out_stride) {
  HWY_DYNAMIC_DISPATCH(filter_rows_simd)(filter, group, out, out_stride);
}

void blend_rows(std::span<const RowPair> pairs, std::size_t bytes, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(blend_rows_simd)(pairs, bytes, out);
}

}  // namespace bit::pipeline
#endif
