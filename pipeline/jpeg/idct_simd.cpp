#include "pipeline/jpeg/idct_simd.h"

#include <algorithm>
#include <cstdlib>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "pipeline/jpeg/idct_simd.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace bit::pipeline {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Fixed point of 13 bits.
constexpr std::int16_t k0_298 = 2446, k0_390 = 3196, k0_541 = 4433, k0_765 = 6270, k0_899 = 7373,
                       k1_175 = 9633, k1_501 = 12299, k1_847 = 15137, k1_961 = 16069,
                       k2_053 = 16819, k2_562 = 20995, k3_072 = 25172;
constexpr int kFractionBits = 13;
constexpr int kPass1Bits = 2;  // of fraction that the first pass leaves
// A first row beyond this makes libjpeg-turbo's result depend on the path that it takes.
constexpr std::int16_t kMaxFirstRow = (1 << 13) - 1;

#if HWY_TARGET == HWY_SCALAR  // a machine without vectors that Highway knows

std::int16_t wrap(std::int64_t value) { return static_cast<std::int16_t>(value); }

// Along eight values that are `step` apart.
template <int kShift>
void transform(std::int16_t* x, std::size_t step) {
  const auto at = [&](std::size_t i) -> std::int16_t& { return x[i * step]; };
  const auto scaled = [](std::int16_t value) { return std::int64_t{value} * (1 << kFractionBits); };
  const std::int64_t even_sum = at(2) * (k0_541 + k0_765) + at(6) * k0_541;
  const std::int64_t even_difference = at(2) * k0_541 + at(6) * (k0_541 - k1_847);
  const std::int64_t sum = scaled(wrap(at(0) + at(4))), difference = scaled(wrap(at(0) - at(4)));
  const std::int64_t even[4] = {sum + even_sum, difference + even_difference,
                                difference - even_difference, sum - even_sum};
  const std::int64_t z3 = wrap(at(3) + at(7)), z4 = wrap(at(1) + at(5));
  const std::int64_t common3 = z3 * (k1_175 - k1_961) + z4 * k1_175;
  const std::int64_t common4 = z3 * k1_175 + z4 * (k1_175 - k0_390);
  const std::int64_t odd[4] = {at(1) * (k1_501 - k0_899) - at(7) * k0_899 + common4,
                               at(3) * (k3_072 - k2_562) - at(5) * k2_562 + common3,
                               at(5) * (k2_053 - k2_562) - at(3) * k2_562 + common4,
                               at(7) * (k0_298 - k0_899) - at(1) * k0_899 + common3};
  const auto descale = [](std::int64_t value) {
    return static_cast<std::int16_t>(std::clamp(
        static_cast<std::int32_t>(value + (1 << (kShift - 1))) >> kShift, -32768, 32767));
  };
  for (std::size_t i = 0; i < 4; ++i) {
    at(i) = descale(even[i] + odd[i]);
    at(7 - i) = descale(even[i] - odd[i]);
  }
}

bool inverse_dct_simd(const std::int16_t* tiles, std::size_t count,
                      const std::int16_t* quantization, std::uint8_t* out, std::size_t stride) {
  for (std::size_t block = 0; block < count * kTileBlocks; ++block) {
    const std::int16_t* from =
        tiles + block / kTileBlocks * kTileCoefficients + block % kTileBlocks * 8;
    std::int16_t x[64];
    for (std::size_t i = 0; i < 64; ++i) {
      x[i] = wrap(from[i / 8 * kTileRow + i % 8] * quantization[i]);
      if (i < 8 && std::abs(std::int32_t{x[i]}) > kMaxFirstRow) return false;
    }
    for (std::size_t i = 0; i < 8; ++i) transform<kFractionBits - kPass1Bits>(x + i, 8);
    for (std::size_t i = 0; i < 8; ++i) transform<kFractionBits + kPass1Bits + 3>(x + 8 * i, 1);
    for (std::size_t i = 0; i < 64; ++i) {
      out[i / 8 * stride + block * 8 + i % 8] =
          static_cast<std::uint8_t>(std::clamp(x[i] + 128, 0, 255));
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

// value * 2^13.
template <class D16>
HWY_INLINE typename Lanes<D16>::Wide scaled(D16 d16, hn::Vec<D16> value) {
  const typename Lanes<D16>::D32 d32;
  const auto zero = hn::Zero(d16);
  const auto widen = [&](hn::Vec<D16> high) HWY_ATTR {
    return hn::ShiftRight<16 - kFractionBits>(hn::BitCast(d32, high));
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
  const auto even_sum = weigh(d16, x26, factors(k0_541 + k0_765, k0_541));
  const auto even_difference = weigh(d16, x26, factors(k0_541, k0_541 - k1_847));
  const auto sum = scaled(d16, hn::Add(x[0], x[4])), difference = scaled(d16, hn::Sub(x[0], x[4]));
  const auto e0 = plus(sum, even_sum), e3 = minus(sum, even_sum);
  const auto e1 = plus(difference, even_difference), e2 = minus(difference, even_difference);

  const auto z = pair(d16, hn::Add(x[3], x[7]), hn::Add(x[1], x[5]));
  const auto common3 = weigh(d16, z, factors(k1_175 - k1_961, k1_175));
  const auto common4 = weigh(d16, z, factors(k1_175, k1_175 - k0_390));
  const auto x17 = pair(d16, x[1], x[7]), x35 = pair(d16, x[3], x[5]);
  const auto o0 = plus(weigh(d16, x17, factors(-k0_899, k0_298 - k0_899)), common3);
  const auto o1 = plus(weigh(d16, x35, factors(-k2_562, k2_053 - k2_562)), common4);
  const auto o2 = plus(weigh(d16, x35, factors(k3_072 - k2_562, -k2_562)), common3);
  const auto o3 = plus(weigh(d16, x17, factors(k1_501 - k0_899, -k0_899)), common4);

  x[0] = descale<kShift>(d16, plus(e0, o3));
  x[7] = descale<kShift>(d16, minus(e0, o3));
  x[1] = descale<kShift>(d16, plus(e1, o2));
  x[6] = descale<kShift>(d16, minus(e1, o2));
  x[2] = descale<kShift>(d16, plus(e2, o1));
  x[5] = descale<kShift>(d16, minus(e2, o1));
  x[3] = descale<kShift>(d16, plus(e3, o0));
  x[4] = descale<kShift>(d16, minus(e3, o0));
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

bool inverse_dct_simd(const std::int16_t* tiles, std::size_t count,
                      const std::int16_t* quantization, std::uint8_t* out, std::size_t stride) {
  const hn::CappedTag<std::int16_t, kTileRow> d16;
  const hn::Rebind<std::uint8_t, decltype(d16)> d8;
  const std::size_t lanes = hn::Lanes(d16);
  hn::Vec<decltype(d16)> factor[8];
  for (std::size_t row = 0; row < 8; ++row)
    factor[row] = hn::LoadDup128(d16, quantization + 8 * row);
  const auto largest = hn::Set(d16, kMaxFirstRow), centre = hn::Set(d16, 128);
  auto beyond = hn::Zero(d16);
  for (std::size_t tile = 0; tile < count; ++tile, tiles += kTileCoefficients, out += kTileRow) {
    for (std::size_t column = 0; column < kTileRow; column += lanes) {
      hn::Vec<decltype(d16)> x[8];
      for (std::size_t row = 0; row < 8; ++row) {
        x[row] = hn::Mul(hn::Load(d16, tiles + row * kTileRow + column), factor[row]);
      }
      beyond = hn::Or(beyond, hn::VecFromMask(d16, hn::Gt(hn::Abs(x[0]), largest)));
      beyond = hn::Or(beyond, hn::ShiftRight<15>(hn::Abs(x[0])));  // -32768 has no opposite
      transform<kFractionBits - kPass1Bits>(d16, x);
      transpose(d16, x);
      transform<kFractionBits + kPass1Bits + 3>(d16, x);
      transpose(d16, x);
      for (std::size_t row = 0; row < 8; ++row) {
        const auto sample = hn::DemoteTo(d8, hn::SaturatedAdd(x[row], centre));
        hn::StoreU(sample, d8, out + row * stride + column);
      }
    }
  }
  return hn::AllTrue(d16, hn::Eq(beyond, hn::Zero(d16)));
}

#endif  // HWY_TARGET == HWY_SCALAR
}  // namespace HWY_NAMESPACE
}  // namespace bit::pipeline
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bit::pipeline {

HWY_EXPORT(inverse_dct_simd);

bool inverse_dct(const std::int16_t* tiles, std::size_t count, const std::int16_t* quantization,
                 std::uint8_t* out, std::size_t stride) {
  return HWY_DYNAMIC_DISPATCH(inverse_dct_simd)(tiles, count, quantization, out, stride);
}

}  // namespace bit::pipeline
#endif
