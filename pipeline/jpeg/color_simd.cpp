#include "pipeline/jpeg/color_simd.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "pipeline/jpeg/color_simd.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace bit::pipeline {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR  // a machine without vectors that Highway knows

std::uint8_t byte(std::int32_t value) {
  return static_cast<std::uint8_t>(std::clamp(value, 0, 255));
}

void upsample_vertically_simd(const std::uint8_t* near, const std::uint8_t* far, std::size_t count,
                              int bias, std::uint8_t* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = byte((3 * near[i] + far[i] + bias) >> 2);
}

void upsample_horizontally_simd(const std::uint8_t* in, std::size_t count, std::uint8_t* out) {
  for (std::size_t i = 0; i < count; ++i, ++in) {
    out[2 * i] = byte((3 * in[1] + in[0] + 1) >> 2);
    out[2 * i + 1] = byte((3 * in[1] + in[2] + 2) >> 2);
  }
}

void sum_rows_simd(const std::uint8_t* near, const std::uint8_t* far, std::size_t count,
                   std::uint16_t* sums) {
  for (std::size_t i = 0; i < count; ++i) {
    sums[i] = static_cast<std::uint16_t>(3 * near[i] + far[i]);
  }
}

void upsample_sums_simd(const std::uint16_t* sums, std::size_t count, std::uint8_t* out) {
  for (std::size_t i = 0; i < count; ++i, ++sums) {
    out[2 * i] = byte((3 * sums[1] + sums[0] + 8) >> 4);
    out[2 * i + 1] = byte((3 * sums[1] + sums[2] + 7) >> 4);
  }
}

void ycc_to_rgb_simd(const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr,
                     std::size_t count, const RgbPlanes& rgb) {
  constexpr std::int32_t kHalf = 1 << 15;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t blue = cb[i] - 128, red = cr[i] - 128;
    rgb.red[i] = byte(y[i] + ((91881 * red + kHalf) >> 16));
    rgb.green[i] = byte(y[i] + ((-22554 * blue - 46802 * red + kHalf) >> 16));
    rgb.blue[i] = byte(y[i] + ((116130 * blue + kHalf) >> 16));
  }
}

void interleave_rgb_simd(const RgbPlanes& planes, std::size_t count, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < count; ++i, rgb += 3) {
    rgb[0] = planes.red[i];
    rgb[1] = planes.green[i];
    rgb[2] = planes.blue[i];
  }
}

#else

using D8 = hn::CappedTag<std::uint8_t, 32>;  // of half a vector where there are 64
using D16 = hn::Rebind<std::uint16_t, hn::Half<D8>>;
using DSigned = hn::RebindToSigned<D16>;
using V16 = hn::Vec<D16>;

// Vectors of sums are as long as half a vector of bytes.
HWY_INLINE V16 widen(const std::uint8_t* from) {
  return hn::PromoteTo(D16(), hn::LoadU(hn::Half<D8>(), from));
}

HWY_INLINE hn::Vec<hn::Half<D8>> narrow(V16 value) {
  return hn::DemoteTo(hn::Half<D8>(), hn::BitCast(DSigned(), value));
}

HWY_INLINE V16 weighted(V16 near, V16 far) {
  return hn::Add(hn::Add(near, hn::Add(near, near)), far);
}

void upsample_vertically_simd(const std::uint8_t* near, const std::uint8_t* far, std::size_t count,
                              int bias, std::uint8_t* out) {
  const D16 d16;
  const auto rounding = hn::Set(d16, static_cast<std::uint16_t>(bias));
  for (std::size_t i = 0; i < count; i += hn::Lanes(d16)) {
    const auto sum = weighted(widen(near + i), widen(far + i));
    hn::StoreU(narrow(hn::ShiftRight<2>(hn::Add(sum, rounding))), hn::Half<D8>(), out + i);
  }
}

// Samples of even and of odd columns, put in turn.
HWY_INLINE void store_in_turn(V16 even, V16 odd, std::uint8_t* out) {
  const D8 d8;
  const auto both = hn::Or(even, hn::ShiftLeft<8>(odd));
  hn::StoreU(hn::BitCast(d8, both), d8, out);
}

void upsample_horizontally_simd(const std::uint8_t* in, std::size_t count, std::uint8_t* out) {
  const D16 d16;
  const auto one = hn::Set(d16, 1), two = hn::Set(d16, 2);
  for (std::size_t i = 0; i < count; i += hn::Lanes(d16), in += hn::Lanes(d16)) {
    const auto here = widen(in + 1);
    const auto even = hn::ShiftRight<2>(hn::Add(weighted(here, widen(in)), one));
    const auto odd = hn::ShiftRight<2>(hn::Add(weighted(here, widen(in + 2)), two));
    store_in_turn(even, odd, out + 2 * i);
  }
}

void sum_rows_simd(const std::uint8_t* near, const std::uint8_t* far, std::size_t count,
                   std::uint16_t* sums) {
  const D16 d16;
  for (std::size_t i = 0; i < count; i += hn::Lanes(d16)) {
    hn::StoreU(weighted(widen(near + i), widen(far + i)), d16, sums + i);
  }
}

void upsample_sums_simd(const std::uint16_t* sums, std::size_t count, std::uint8_t* out) {
  const D16 d16;
  const auto seven = hn::Set(d16, 7), eight = hn::Set(d16, 8);
  for (std::size_t i = 0; i < count; i += hn::Lanes(d16), sums += hn::Lanes(d16)) {
    const auto here = hn::LoadU(d16, sums + 1);
    const auto even = hn::ShiftRight<4>(hn::Add(weighted(here, hn::LoadU(d16, sums)), eight));
    const auto odd = hn::ShiftRight<4>(hn::Add(weighted(here, hn::LoadU(d16, sums + 2)), seven));
    store_in_turn(even, odd, out + 2 * i);
  }
}

// round(value * factor / 65536), |factor| < 2^15; value of -128 ... 127.
HWY_INLINE hn::Vec<DSigned> product(hn::Vec<DSigned> value, std::int16_t factor) {
  const DSigned d;
  const auto floor = hn::MulHigh(hn::Add(value, value), hn::Set(d, factor));
  return hn::ShiftRight<1>(hn::Add(floor, hn::Set(d, 1)));
}

// The three colours of as many pixels as a DSigned has lanes.
struct Colours {
  hn::Vec<hn::Half<D8>> red, green, blue;
};

// R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb in 16 bits of fraction, a
// whole number taken out of each factor that would not fit into 16.
HWY_INLINE Colours convert(const std::uint8_t* luma, const std::uint8_t* blue_difference,
                           const std::uint8_t* red_difference) {
  const DSigned d;
  const hn::RepartitionToWide<DSigned> d32;
  const auto centre = hn::Set(d, 128);
  const auto y = hn::BitCast(d, widen(luma));
  const auto cb = hn::Sub(hn::BitCast(d, widen(blue_difference)), centre);
  const auto cr = hn::Sub(hn::BitCast(d, widen(red_difference)), centre);
  const auto red = hn::Add(hn::Add(y, cr), product(cr, 26345));
  const auto blue = hn::Add(hn::Add(y, hn::Add(cb, cb)), product(cb, -14942));
  const auto factors = hn::BitCast(d, hn::Set(d32, (-22554 & 0xFFFF) | 18734 << 16));
  const auto rounding = hn::Set(d32, 1 << 15);
  const auto sum = [&](hn::Vec<DSigned> pairs) HWY_ATTR {
    auto odd = hn::Zero(d32);
    const auto even = hn::ReorderWidenMulAccumulate(d32, pairs, factors, hn::Zero(d32), odd);
    return hn::ShiftRight<16>(hn::Add(hn::RearrangeToOddPlusEven(even, odd), rounding));
  };
  const auto mixed = hn::ReorderDemote2To(d, sum(hn::InterleaveLower(d, cb, cr)),
                                          sum(hn::InterleaveUpper(d, cb, cr)));
  const auto green = hn::Add(hn::Sub(y, cr), mixed);
  const hn::Half<D8> d8;
  return {hn::DemoteTo(d8, red), hn::DemoteTo(d8, green), hn::DemoteTo(d8, blue)};
}

void ycc_to_rgb_simd(const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr,
                     std::size_t count, const RgbPlanes& rgb) {
  const hn::Half<D8> d8;
  static_assert(kColorUnit % hn::MaxLanes(hn::Half<D8>()) == 0);
  for (std::size_t i = 0; i < count; i += hn::Lanes(d8)) {
    const Colours colours = convert(y + i, cb + i, cr + i);
    hn::StoreU(colours.red, d8, rgb.red + i);
    hn::StoreU(colours.green, d8, rgb.green + i);
    hn::StoreU(colours.blue, d8, rgb.blue + i);
  }
}

void interleave_rgb_simd(const RgbPlanes& planes, std::size_t count, std::uint8_t* rgb) {
  const D8 d8;
  for (std::size_t i = 0; i < count; i += hn::Lanes(d8)) {
    hn::StoreInterleaved3(hn::LoadU(d8, planes.red + i), hn::LoadU(d8, planes.green + i),
                          hn::LoadU(d8, planes.blue + i), d8, rgb + 3 * i);
  }
}

#endif  // HWY_TARGET == HWY_SCALAR
}  // namespace HWY_NAMESPACE
}  // namespace bit::pipeline
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bit::pipeline {

HWY_EXPORT(upsample_vertically_simd);
HWY_EXPORT(upsample_horizontally_simd);
HWY_EXPORT(sum_rows_simd);
HWY_EXPORT(upsample_sums_simd);
HWY_EXPORT(ycc_to_rgb_simd);
HWY_EXPORT(interleave_rgb_simd);

void upsample_vertically(const std::uint8_t* near, const std::uint8_t* far, std::size_t count,
                         int bias, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(upsample_vertically_simd)(near, far, count, bias, out);
}

void upsample_horizontally(const std::uint8_t* in, std::size_t count, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(upsample_horizontally_simd)(in, count, out);
}

void sum_rows(const std::uint8_t* near, const std::uint8_t* far, std::size_t count,
              std::uint16_t* sums) {
  HWY_DYNAMIC_DISPATCH(sum_rows_simd)(near, far, count, sums);
}

void upsample_sums(const std::uint16_t* sums, std::size_t count, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(upsample_sums_simd)(sums, count, out);
}

void ycc_to_rgb(const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr,
                std::size_t count, const RgbPlanes& rgb) {
  HWY_DYNAMIC_DISPATCH(ycc_to_rgb_simd)(y, cb, cr, count, rgb);
}

void interleave_rgb(const RgbPlanes& planes, std::size_t count, std::uint8_t* rgb) {
  HWY_DYNAMIC_DISPATCH(interleave_rgb_simd)(planes, count, rgb);
}

}  // namespace bit::pipeline
#endif
