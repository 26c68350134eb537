#include "pipeline/jpeg/idct_simd.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "pipeline/jpeg/idct_simd.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace bit::pipeline {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Factors in fixed point of 13 bits: kF0298 is 0.298...
constexpr std::int16_t kF0298 = 2446, kF0390 = 3196, kF0541 = 4433, kF0765 = 6270, kF0899 = 7373,
                       kF1175 = 9633, kF1501 = 12299, kF1847 = 15137, kF1961 = 16069,
                       kF2053 = 16819, kF2562 = 20995, kF3072 = 25172;
// And of the reduced forms.
constexpr std::int16_t kF0211 = 1730, kF0509 = 4176, kF0601 = 4926, kF0720 = 5906, kF0850 = 6967,
                       kF1061 = 8697, kF1272 = 10426, kF1451 = 11893, kF2172 = 17799,
                       kF3624 = 29692;
constexpr int kFractionBits = 13;
constexpr int kPass1Bits = 2;  // of fraction that the first pass leaves
// A first row beyond this makes libjpeg-turbo's result depend on the path that it takes.
constexpr std::int16_t kMaxFirstRow = (1 << 13) - 1;
// Any coefficient beyond this: that of its reduced forms.
constexpr std::int16_t kMaxReduced = (1 << 11) - 1;

#if HWY_TARGET == HWY_SCALAR  // a machine without vectors that Highway knows

std::int16_t wrap(std::int64_t value) { return static_cast<std::int16_t>(value); }

template <int kShift>
std::int16_t descale(std::int64_t value) {
  return static_cast<std::int16_t>(
      std::clamp(static_cast<std::int32_t>(value + (1 << (kShift - 1))) >> kShift, -32768, 32767));
}

// Along eight values that are `step` apart; the reduced forms leave four or two of them.
template <int kShift>
void transform(std::int16_t* x, std::size_t step) {
  const auto at = [&](std::size_t i) -> std::int16_t& { return x[i * step]; };
  const auto scaled = [](std::int16_t value) { return std::int64_t{value} * (1 << kFractionBits); };
  const std::int64_t even_sum = at(2) * (kF0541 + kF0765) + at(6) * kF0541;
  const std::int64_t even_difference = at(2) * kF0541 + at(6) * (kF0541 - kF1847);
  const std::int64_t sum = scaled(wrap(at(0) + at(4))), difference = scaled(wrap(at(0) - at(4)));
  const std::int64_t even[4] = {sum + even_sum, difference + even_difference,
                                difference - even_difference, sum - even_sum};
  const std::int64_t z3 = wrap(at(3) + at(7)), z4 = wrap(at(1) + at(5));
  const std::int64_t common3 = z3 * (kF1175 - kF1961) + z4 * kF1175;
  const std::int64_t common4 = z3 * kF1175 + z4 * (kF1175 - kF0390);
  const std::int64_t odd[4] = {at(1) * (kF1501 - kF0899) - at(7) * kF0899 + common4,
                               at(3) * (kF3072 - kF2562) - at(5) * kF2562 + common3,
                               at(5) * (kF2053 - kF2562) - at(3) * kF2562 + common4,
                               at(7) * (kF0298 - kF0899) - at(1) * kF0899 + common3};
  for (std::size_t i = 0; i < 4; ++i) {
    at(i) = descale<kShift>(even[i] + odd[i]);
    at(7 - i) = descale<kShift>(even[i] - odd[i]);
  }
}

template <int kShift>
void transform4(std::int16_t* x, std::size_t step) {
  const auto at = [&](std::size_t i) -> std::int16_t& { return x[i * step]; };
  const std::int64_t first = std::int64_t{at(0)} * (1 << (kFractionBits + 1));
  const std::int64_t even = at(2) * kF1847 - at(6) * kF0765;
  const std::int64_t inner = at(1) * kF1061 - at(3) * kF2172 + at(5) * kF1451 - at(7) * kF0211;
  const std::int64_t outer = at(1) * kF2562 + at(3) * kF0899 - at(5) * kF0601 - at(7) * kF0509;
  at(0) = descale<kShift + 1>(first + even + outer);
  at(3) = descale<kShift + 1>(first + even - outer);
  at(1) = descale<kShift + 1>(first - even + inner);
  at(2) = descale<kShift + 1>(first - even - inner);
}

template <int kShift>
void transform2(std::int16_t* x, std::size_t step) {
  const auto at = [&](std::size_t i) -> std::int16_t& { return x[i * step]; };
  const std::int64_t first = std::int64_t{at(0)} * (1 << (kFractionBits + 2));
  const std::int64_t odd = at(1) * kF3624 - at(3) * kF1272 + at(5) * kF0850 - at(7) * kF0720;
  at(0) = descale<kShift + 2>(first + odd);
  at(1) = descale<kShift + 2>(first - odd);
}

template <int kShift>
void transform_to(std::uint32_t size, std::int16_t* x, std::size_t step) {
  if (size == 8) return transform<kShift>(x, step);
  if (size == 4) return transform4<kShift>(x, step);
  transform2<kShift>(x, step);
}

bool inverse_dct_simd(std::int16_t* tiles, std::size_t count, const std::int16_t* quantization,
                      std::uint32_t size, std::uint8_t* out, std::size_t stride) {
  for (std::size_t block = 0; block < count * kTileBlocks; ++block) {
    std::int16_t* const from =
        tiles + block / kTileBlocks * kTileCoefficients + block % kTileBlocks * 8;
    std::int16_t x[64];
    for (std::size_t i = 0; i < 64; ++i) {
      x[i] = wrap(std::exchange(from[i / 8 * kTileRow + i % 8], std::int16_t{0}) * quantization[i]);
      const std::int32_t magnitude = std::abs(std::int32_t{x[i]});
      if (size == 8 ? i < 8 && magnitude > kMaxFirstRow : magnitude > kMaxReduced) return false;
    }
    for (std::size_t i = 0; i < 8; ++i) {
      transform_to<kFractionBits - kPass1Bits>(size, x + i, 8);
    }
    for (std::size_t i = 0; i < size; ++i) {
      transform_to<kFractionBits + kPass1Bits + 3>(size, x + 8 * i, 1);
    }
    for (std::size_t i = 0; i < size * size; ++i) {
      out[i / size * stride + block * size + i % size] =
          static_cast<std::uint8_t>(std::clamp(x[i / size * 8 + i % size] + 128, 0, 255));
    }
  }
  return true;
}

#else

// Two 16-bit factors as one 32-bit lane, the first in its low half.
constexpr std::int32_t factors(int first, int second) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(first & 0xFFFF) |
                                   static_cast<std::uint32_t>(second) << 16);
}

template <class D16>
struct Lanes {
  using D32 = hn::RepartitionToWide<D16>;
  using V16 = hn::Vec<D16>;
  using V32 = hn::Vec<D32>;

  // Both halves of the 32-bit lanes that a vector of 16-bit ones widens to, in blocks of 128 bits.
  struct Wide {
    V32 lower, upper;
  };
};

// Lanes of two vectors in turn, to be weighed together.
template <class D16>
struct Pairs {
  hn::Vec<D16> lower, upper;
};

template <class D16>
HWY_INLINE Pairs<D16> pair(D16 d16, hn::Vec<D16> first, hn::Vec<D16> second) {
  return {hn::InterleaveLower(d16, first, second), hn::InterleaveUpper(d16, first, second)};
}

// first * a + second * b, lane by lane.
template <class D16>
HWY_INLINE typename Lanes<D16>::Wide weigh(D16 d16, const Pairs<D16>& pairs, std::int32_t ab) {
  const typename Lanes<D16>::D32 d32;
  const auto factor = hn::BitCast(d16, hn::Set(d32, ab));
  const auto sum = [&](hn::Vec<D16> values) HWY_ATTR {
    auto odd = hn::Zero(d32);
    const auto even = hn::ReorderWidenMulAccumulate(d32, values, factor, hn::Zero(d32), odd);
    return hn::RearrangeToOddPlusEven(even, odd);
  };
  return {sum(pairs.lower), sum(pairs.upper)};
}

// value * 2^(13 + kMore).
template <int kMore = 0, class D16>
HWY_INLINE typename Lanes<D16>::Wide scaled(D16 d16, hn::Vec<D16> value) {
  const typename Lanes<D16>::D32 d32;
  const auto zero = hn::Zero(d16);
  const auto widen = [&](hn::Vec<D16> high) HWY_ATTR {
    return hn::ShiftRight<16 - kFractionBits - kMore>(hn::BitCast(d32, high));
  };
  return {widen(hn::InterleaveLower(d16, zero, value)),
          widen(hn::InterleaveUpper(d16, zero, value))};
}

template <class W>
HWY_INLINE W plus(const W& a, const W& b) {
  return {hn::Add(a.lower, b.lower), hn::Add(a.upper, b.upper)};
}

template <class W>
HWY_INLINE W minus(const W& a, const W& b) {
  return {hn::Sub(a.lower, b.lower), hn::Sub(a.upper, b.upper)};
}

template <int kShift, class D16>
HWY_INLINE hn::Vec<D16> descale(D16 d16, const typename Lanes<D16>::Wide& value) {
  const typename Lanes<D16>::D32 d32;
  const auto half = hn::Set(d32, 1 << (kShift - 1));
  return hn::ReorderDemote2To(d16, hn::ShiftRight<kShift>(hn::Add(value.lower, half)),
                              hn::ShiftRight<kShift>(hn::Add(value.upper, half)));
}

// Along the index of `x`, in every lane.
template <int kShift, class D16>
HWY_INLINE void transform(D16 d16, hn::Vec<D16> (&x)[8]) {
  const auto x26 = pair(d16, x[2], x[6]);
  const auto even_sum = weigh(d16, x26, factors(kF0541 + kF0765, kF0541));
  const auto even_difference = weigh(d16, x26, factors(kF0541, kF0541 - kF1847));
  const auto sum = scaled(d16, hn::Add(x[0], x[4])), difference = scaled(d16, hn::Sub(x[0], x[4]));
  const auto e0 = plus(sum, even_sum), e3 = minus(sum, even_sum);
  const auto e1 = plus(difference, even_difference), e2 = minus(difference, even_difference);

  const auto z = pair(d16, hn::Add(x[3], x[7]), hn::Add(x[1], x[5]));
  const auto common3 = weigh(d16, z, factors(kF1175 - kF1961, kF1175));
  const auto common4 = weigh(d16, z, factors(kF1175, kF1175 - kF0390));
  const auto x17 = pair(d16, x[1], x[7]), x35 = pair(d16, x[3], x[5]);
  const auto o0 = plus(weigh(d16, x17, factors(-kF0899, kF0298 - kF0899)), common3);
  const auto o1 = plus(weigh(d16, x35, factors(-kF2562, kF2053 - kF2562)), common4);
  const auto o2 = plus(weigh(d16, x35, factors(kF3072 - kF2562, -kF2562)), common3);
  const auto o3 = plus(weigh(d16, x17, factors(kF1501 - kF0899, -kF0899)), common4);

  x[0] = descale<kShift>(d16, plus(e0, o3));
  x[7] = descale<kShift>(d16, minus(e0, o3));
  x[1] = descale<kShift>(d16, plus(e1, o2));
  x[6] = descale<kShift>(d16, minus(e1, o2));
  x[2] = descale<kShift>(d16, plus(e2, o1));
  x[5] = descale<kShift>(d16, minus(e2, o1));
  x[3] = descale<kShift>(d16, plus(e3, o0));
  x[4] = descale<kShift>(d16, minus(e3, o0));
}

template <int kShift, class D16>
HWY_INLINE void transform4(D16 d16, hn::Vec<D16> (&x)[8]) {
  const auto first = scaled<1>(d16, x[0]);
  const auto even = weigh(d16, pair(d16, x[2], x[6]), factors(kF1847, -kF0765));
  const auto x13 = pair(d16, x[1], x[3]), x57 = pair(d16, x[5], x[7]);
  const auto inner =
      plus(weigh(d16, x13, factors(kF1061, -kF2172)), weigh(d16, x57, factors(kF1451, -kF0211)));
  const auto outer =
      plus(weigh(d16, x13, factors(kF2562, kF0899)), weigh(d16, x57, factors(-kF0601, -kF0509)));
  const auto sum = plus(first, even), difference = minus(first, even);
  x[0] = descale<kShift + 1>(d16, plus(sum, outer));
  x[3] = descale<kShift + 1>(d16, minus(sum, outer));
  x[1] = descale<kShift + 1>(d16, plus(difference, inner));
  x[2] = descale<kShift + 1>(d16, minus(difference, inner));
}

template <int kShift, class D16>
HWY_INLINE void transform2(D16 d16, hn::Vec<D16> (&x)[8]) {
  const auto first = scaled<2>(d16, x[0]);
  const auto odd = plus(weigh(d16, pair(d16, x[1], x[3]), factors(kF3624, -kF1272)),
                        weigh(d16, pair(d16, x[5], x[7]), factors(kF0850, -kF0720)));
  x[0] = descale<kShift + 2>(d16, plus(first, odd));
  x[1] = descale<kShift + 2>(d16, minus(first, odd));
}

template <std::size_t kSize, int kShift, class D16>
HWY_INLINE void transform_to(D16 d16, hn::Vec<D16> (&x)[8]) {
  if constexpr (kSize == 8) transform<kShift>(d16, x);
  if constexpr (kSize == 4) transform4<kShift>(d16, x);
  if constexpr (kSize == 2) transform2<kShift>(d16, x);
}

// In each block of eight lanes.
template <class D16>
HWY_INLINE void transpose(D16 d16, hn::Vec<D16> (&x)[8]) {
  const hn::RepartitionToWide<D16> d32;
  const hn::RepartitionToWide<decltype(d32)> d64;
  const auto pairs = [&](hn::Vec<D16> v) HWY_ATTR { return hn::BitCast(d32, v); };
  const auto quads = [&](hn::Vec<decltype(d32)> v) HWY_ATTR { return hn::BitCast(d64, v); };
  hn::Vec<decltype(d32)> a[8];
  for (int i = 0; i < 4; ++i) {
    a[i] = pairs(hn::InterleaveLower(d16, x[2 * i], x[2 * i + 1]));
    a[4 + i] = pairs(hn::InterleaveUpper(d16, x[2 * i], x[2 * i + 1]));
  }
  for (int half = 0; half < 2; ++half) {  // columns 0..3, 4..7
    const auto* s = a + 4 * half;
    const auto top01 = quads(hn::InterleaveLower(d32, s[0], s[1]));
    const auto top23 = quads(hn::InterleaveUpper(d32, s[0], s[1]));
    const auto bottom01 = quads(hn::InterleaveLower(d32, s[2], s[3]));
    const auto bottom23 = quads(hn::InterleaveUpper(d32, s[2], s[3]));
    x[4 * half] = hn::BitCast(d16, hn::InterleaveLower(d64, top01, bottom01));
    x[4 * half + 1] = hn::BitCast(d16, hn::InterleaveUpper(d64, top01, bottom01));
    x[4 * half + 2] = hn::BitCast(d16, hn::InterleaveLower(d64, top23, bottom23));
    x[4 * half + 3] = hn::BitCast(d16, hn::InterleaveUpper(d64, top23, bottom23));
  }
}

// Samples of a row: all eight of each block, or those that a reduced form leaves.
template <std::size_t kSize, class D16>
HWY_INLINE void store_samples(D16 d16, hn::Vec<D16> row, std::uint8_t* out) {
  const hn::Rebind<std::uint8_t, D16> d8;
  const auto samples = hn::DemoteTo(d8, hn::SaturatedAdd(row, hn::Set(d16, 128)));
  if constexpr (kSize == 8) {
    hn::StoreU(samples, d8, out);
  } else {
    alignas(64) std::uint8_t whole[kTileRow];
    hn::Store(samples, d8, whole);
    for (std::size_t block = 0; block < hn::Lanes(d16) / 8; ++block) {
      std::memcpy(out + block * kSize, whole + block * 8, kSize);
    }
  }
}

template <std::size_t kSize>
HWY_INLINE bool transform_tiles(std::int16_t* tiles, std::size_t count,
                                const std::int16_t* quantization, std::uint8_t* out,
                                std::size_t stride) {
  const hn::CappedTag<std::int16_t, kTileRow> d16;
  const std::size_t lanes = hn::Lanes(d16);
  hn::Vec<decltype(d16)> factor[8];
  for (std::size_t row = 0; row < 8; ++row) {
    factor[row] = hn::LoadDup128(d16, quantization + 8 * row);
  }
  const auto largest = hn::Set(d16, kSize == 8 ? kMaxFirstRow : kMaxReduced);
  auto beyond = hn::Zero(d16);
  for (std::size_t tile = 0; tile < count; ++tile, tiles += kTileCoefficients) {
    for (std::size_t column = 0; column < kTileRow; column += lanes, out += lanes / 8 * kSize) {
      hn::Vec<decltype(d16)> x[8];
      for (std::size_t row = 0; row < 8; ++row) {
        std::int16_t* const coefficients = tiles + row * kTileRow + column;
        x[row] = hn::Mul(hn::Load(d16, coefficients), factor[row]);
        hn::Store(hn::Zero(d16), d16, coefficients);
        if (kSize == 8 && row > 0) continue;
        const auto magnitude = hn::Abs(x[row]);  // -32768 has no opposite
        beyond = hn::Or(beyond, hn::VecFromMask(d16, hn::Gt(magnitude, largest)));
        beyond = hn::Or(beyond, hn::ShiftRight<15>(magnitude));
      }
      transform_to<kSize, kFractionBits - kPass1Bits>(d16, x);
      for (std::size_t row = kSize; row < 8; ++row) x[row] = hn::Zero(d16);
      transpose(d16, x);
      transform_to<kSize, kFractionBits + kPass1Bits + 3>(d16, x);
      for (std::size_t row = kSize; row < 8; ++row) x[row] = hn::Zero(d16);
      transpose(d16, x);
      for (std::size_t row = 0; row < kSize; ++row) {
        store_samples<kSize>(d16, x[row], out + row * stride);
      }
    }
  }
  return hn::AllTrue(d16, hn::Eq(beyond, hn::Zero(d16)));
}

bool inverse_dct_simd(std::int16_t* tiles, std::size_t count, const std::int16_t* quantization,
                      std::uint32_t size, std::uint8_t* out, std::size_t stride) {
  if (size == 8) return transform_tiles<8>(tiles, count, quantization, out, stride);
  if (size == 4) return transform_tiles<4>(tiles, count, quantization, out, stride);
  return transform_tiles<2>(tiles, count, quantization, out, stride);
}

#endif  // HWY_TARGET == HWY_SCALAR
}  // namespace HWY_NAMESPACE
}  // namespace bit::pipeline
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bit::pipeline {

HWY_EXPORT(inverse_dct_simd);

bool inverse_dct(std::int16_t* tiles, std::size_t count, const std::int16_t* quantization,
                 std::uint32_t size, std::uint8_t* out, std::size_t stride) {
  return HWY_DYNAMIC_DISPATCH(inverse_dct_simd)(tiles, count, quantization, size, out, stride);
}

}  // namespace bit::pipeline
#endif
