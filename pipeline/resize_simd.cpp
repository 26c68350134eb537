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

void filter_row_simd(const RowFilter& filter, const std::uint8_t* row, std::uint8_t* out) {
  for (std::size_t pixel = 0; pixel < filter.pixels; ++pixel) {
    const std::int16_t* weights =
        filter.weights.data() + (pixel / 2 * filter.steps * 2 + pixel % 2) * 8;
    for (std::size_t channel = 0; channel < 3; ++channel) {
      const std::uint8_t* tap = row + filter.offset[pixel] + channel;
      std::int32_t high = 0, low = 0;
      for (std::size_t i = 0; i < std::size_t{filter.steps} * 4; ++i, tap += 3) {
        high += *tap * weights[i / 4 * 16 + i % 4];
        low += *tap * weights[i / 4 * 16 + 4 + i % 4];
      }
      out[pixel * 3 + channel] = to_byte(high, low);
    }
  }
}

void blend_rows_simd(std::span<const RowPair> pairs, std::size_t bytes, std::uint8_t* out) {
  for (std::size_t i = 0; i < bytes; ++i) {
    std::int32_t high = 0, low = 0;
    for (const RowPair& pair : pairs) {
      high += pair.first[i] * (pair.high & 0xffff) + pair.second[i] * (pair.high >> 16);
      low += pair.first[i] * (pair.low & 0xffff) + pair.second[i] * (pair.low >> 16);
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

// (high * 2^kLowBits + low), rounded from fixed point to 0 ... 255.
template <class D32>
HWY_ATTR hn::Vec<D32> to_byte_range(D32 d, const PairSum<D32>& high, const PairSum<D32>& low) {
  const auto sum = hn::Add(hn::ShiftLeft<kLowBits>(high.total()), low.total());
  const auto rounded = hn::ShiftRight<kWeightBits>(hn::Add(sum, hn::Set(d, kWeightOne / 2)));
  return hn::Min(rounded, hn::Set(d, 255));
}

constexpr std::uint8_t kZ = 0x80;  // TableLookupBytesOr0 gives zero
// Bytes R0 G0 B0 R1 G1 B1 ... of four pixels to 16-bit pairs (R0 R1) (G0 G1) (B0 B1) (0 0), and the
// same of pixels 2 and 3.
alignas(32) constexpr std::uint8_t kTaps01[32] = {0,  kZ, 3,  kZ, 1,  kZ, 4,  kZ, 2,  kZ, 5,
                                                  kZ, kZ, kZ, kZ, kZ, 0,  kZ, 3,  kZ, 1,  kZ,
                                                  4,  kZ, 2,  kZ, 5,  kZ, kZ, kZ, kZ, kZ};
alignas(32) constexpr std::uint8_t kTaps23[32] = {6,  kZ, 9,  kZ, 7,  kZ, 10, kZ, 8,  kZ, 11,
                                                  kZ, kZ, kZ, kZ, kZ, 6,  kZ, 9,  kZ, 7,  kZ,
                                                  10, kZ, 8,  kZ, 11, kZ, kZ, kZ, kZ, kZ};
// 32-bit R G B - of one pixel to its three bytes; those of a second block go behind those of the
// first.
alignas(32) constexpr std::uint8_t kRgb[32] = {0,  4,  8,  kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ,
                                               kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, 0,  4,  8,
                                               kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ};

// One pixel in each block of 16 bytes: two at a time where there are 32. kSteps: of the filter when
// known beforehand, else 0.
template <std::size_t kSteps, class D8>
HWY_ATTR void filter_pixels(D8 d8, const RowFilter& filter, const std::uint8_t* row,
                            std::uint8_t* HWY_RESTRICT out) {
  const hn::Repartition<std::int16_t, decltype(d8)> d16;
  const hn::Repartition<std::int32_t, decltype(d8)> d32;
  const hn::Full128<std::uint8_t> block;
  constexpr std::size_t kPixels = hn::MaxLanes(d8) / 16;
  const auto taps01 = hn::Load(d8, kTaps01), taps23 = hn::Load(d8, kTaps23);
  const auto rgb = hn::Load(d8, kRgb);
  const std::size_t pixels = filter.pixels, steps = kSteps == 0 ? filter.steps : kSteps;
  const std::uint32_t* const offset = filter.offset.data();
  const std::int16_t* const all_weights = filter.weights.data();
  for (std::size_t pixel = 0; pixel < pixels; pixel += kPixels) {
    const std::int16_t* weights = all_weights + (pixel / 2 * steps * 2 + pixel % 2) * 8;
    PairSum high(d32), low(d32);
    for (std::size_t step = 0; step < steps; ++step, weights += 16) {
      const std::uint8_t* first = row + offset[pixel] + step * 12;
      hn::Vec<decltype(d8)> source;
      if constexpr (kPixels == 2) {
        const std::uint8_t* second = row + offset[pixel + 1] + step * 12;
        source = hn::Combine(d8, hn::LoadU(block, second), hn::LoadU(block, first));
      } else {
        source = hn::LoadU(block, first);
      }
      const auto pairs01 = hn::BitCast(d16, hn::TableLookupBytesOr0(source, taps01));
      const auto pairs23 = hn::BitCast(d16, hn::TableLookupBytesOr0(source, taps23));
      const auto weight = hn::BitCast(d32, hn::LoadU(d16, weights));
      high.add(pairs01, hn::BitCast(d16, hn::Broadcast<0>(weight)));
      high.add(pairs23, hn::BitCast(d16, hn::Broadcast<1>(weight)));
      low.add(pairs01, hn::BitCast(d16, hn::Broadcast<2>(weight)));
      low.add(pairs23, hn::BitCast(d16, hn::Broadcast<3>(weight)));
    }
    const auto value = to_byte_range(d32, high, low);
    const auto bytes = hn::TableLookupBytesOr0(hn::BitCast(d8, value), rgb);
    if constexpr (kPixels == 2) {
      const auto both = hn::Or(hn::LowerHalf(block, bytes), hn::UpperHalf(block, bytes));
      const auto lane = hn::GetLane(hn::BitCast(hn::Full128<std::uint64_t>(), both));
      std::memcpy(out + pixel * 3, &lane, sizeof lane);
    } else {
      const auto lane = hn::GetLane(hn::BitCast(d32, bytes));
      std::memcpy(out + pixel * 3, &lane, sizeof lane);
    }
  }
}

void filter_row_simd(const RowFilter& filter, const std::uint8_t* row, std::uint8_t* out) {
  const hn::CappedTag<std::uint8_t, 32> d8;
  switch (filter.steps) {
    case 1:
      return filter_pixels<1>(d8, filter, row, out);
    case 2:
      return filter_pixels<2>(d8, filter, row, out);
    default:
      return filter_pixels<0>(d8, filter, row, out);
  }
}

alignas(64) constexpr std::uint8_t kEvenToLow[64] = {
    0,  2,  4,  6,  8,  10, 12, 14, kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, 0,  2,  4,  6,  8,  10,
    12, 14, kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, 0,  2,  4,  6,  8,  10, 12, 14, kZ, kZ, kZ, kZ,
    kZ, kZ, kZ, kZ, 0,  2,  4,  6,  8,  10, 12, 14, kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ};
alignas(64) constexpr std::uint8_t kEvenToHigh[64] = {
    kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, 0,  2,  4,  6,  8,  10, 12, 14, kZ, kZ, kZ, kZ, kZ, kZ,
    kZ, kZ, 0,  2,  4,  6,  8,  10, 12, 14, kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, 0,  2,  4,  6,
    8,  10, 12, 14, kZ, kZ, kZ, kZ, kZ, kZ, kZ, kZ, 0,  2,  4,  6,  8,  10, 12, 14};

// The weighted sum of one vector of bytes at `column`.
template <class D8>
HWY_ATTR hn::Vec<D8> blend_vector(D8 d8, std::span<const RowPair> pairs, std::size_t column) {
  const hn::Repartition<std::int16_t, D8> d16;
  const hn::Repartition<std::int32_t, D8> d32;
  PairSum high0(d32), high1(d32), high2(d32), high3(d32);
  PairSum low0(d32), low1(d32), low2(d32), low3(d32);
  const auto zero = hn::Zero(d8);
  for (const RowPair& pair : pairs) {
    const auto first = hn::LoadU(d8, pair.first + column),
               second = hn::LoadU(d8, pair.second + column);
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
  const auto words01 =
      hn::ReorderDemote2To(d16, to_byte_range(d32, high0, low0), to_byte_range(d32, high1, low1));
  const auto words23 =
      hn::ReorderDemote2To(d16, to_byte_range(d32, high2, low2), to_byte_range(d32, high3, low3));
  return hn::Or(hn::TableLookupBytesOr0(hn::BitCast(d8, words01), hn::Load(d8, kEvenToLow)),
                hn::TableLookupBytesOr0(hn::BitCast(d8, words23), hn::Load(d8, kEvenToHigh)));
}

void blend_rows_simd(std::span<const RowPair> pairs, std::size_t bytes, std::uint8_t* out) {
  const hn::CappedTag<std::uint8_t, kVectorBytes> d8;
  const std::size_t lanes = hn::Lanes(d8);
  std::size_t column = 0;
  for (; column + lanes <= bytes; column += lanes) {
    hn::StoreU(blend_vector(d8, pairs, column), d8, out + column);
  }
  if (column < bytes) {
    alignas(64) std::uint8_t tail[kVectorBytes];
    hn::Store(blend_vector(d8, pairs, column), d8, tail);
    std::memcpy(out + column, tail, bytes - column);
  }
}

#endif  // HWY_TARGET == HWY_SCALAR
}  // namespace HWY_NAMESPACE
}  // namespace bit::pipeline
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bit::pipeline {

HWY_EXPORT(filter_row_simd);
HWY_EXPORT(blend_rows_simd);

void filter_row(const RowFilter& filter, const std::uint8_t* row, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(filter_row_simd)(filter, row, out);
}

void blend_rows(std::span<const RowPair> pairs, std::size_t bytes, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(blend_rows_simd)(pairs, bytes, out);
}

}  // namespace bit::pipeline
#endif
