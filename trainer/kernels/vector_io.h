// Loads and stores of fp32 vectors from and to fp32 or bf16 memory. Included once per Highway
// target, inside HWY_BEFORE_NAMESPACE of the including file.
#include <c10/util/BFloat16.h>
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#if defined(BIT_TRAINER_KERNELS_VECTOR_IO_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BIT_TRAINER_KERNELS_VECTOR_IO_H_
#undef BIT_TRAINER_KERNELS_VECTOR_IO_H_
#else
#define BIT_TRAINER_KERNELS_VECTOR_IO_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace bit::trainer::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;
using Vector = hn::VFromD<Floats>;

inline Vector load(Floats d, const float* from) { return hn::LoadU(d, from); }

inline Vector load(Floats d, const c10::BFloat16* from) {
  const hn::Rebind<std::uint16_t, Floats> d16;
  const hn::Rebind<std::uint32_t, Floats> d32;
  const auto bits = hn::LoadU(d16, reinterpret_cast<const std::uint16_t*>(from));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, bits)));
}

inline void store(Floats d, Vector value, float* to) { hn::StoreU(value, d, to); }

// Rounds to nearest, ties to even; what is not a number stays so.
inline void store(Floats d, Vector value, c10::BFloat16* to) {
  const hn::Rebind<std::uint16_t, Floats> d16;
  const hn::Rebind<std::uint32_t, Floats> d32;
  const hn::Rebind<std::int32_t, Floats> di32;
  const auto bits = hn::BitCast(d32, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d32, 0x7FFF))));
  const auto is_number = hn::RebindMask(d32, hn::Eq(value, value));
  const auto result = hn::IfThenElse(is_number, rounded, hn::Set(d32, 0x7FC0));
  hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di32, result)), d16,
             reinterpret_cast<std::uint16_t*>(to));
  (void)d;
}

// A row of any length is whole vectors and perhaps a part of one: both are loaded and stored alike,
// and what is behind a part reads as zero.
struct Whole {};
struct Part {
  std::size_t count;
};

template <typename T>
Vector load(Floats d, const T* from, Whole /*extent*/) {
  return load(d, from);
}
template <typename T>
Vector load(Floats d, const T* from, Part part) {
  T padded[hn::MaxLanes(Floats())] = {};
  std::copy_n(from, part.count, padded);
  return load(d, padded);
}
template <typename T>
void store(Floats d, Vector value, T* to, Whole /*extent*/) {
  store(d, value, to);
}
template <typename T>
void store(Floats d, Vector value, T* to, Part part) {
  T padded[hn::MaxLanes(Floats())];
  store(d, value, padded);
  std::copy_n(padded, part.count, to);
}
// Zero behind a part.
inline Vector keep(Floats /*d*/, Vector value, Whole /*extent*/) { return value; }
inline Vector keep(Floats d, Vector value, Part part) {
  return hn::IfThenElseZero(hn::FirstN(d, part.count), value);
}

// Calls work(i, extent) for the vectors of a row of `count` values.
template <typename Work>
void for_each_vector(std::int64_t count, Work work) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(Floats()));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) work(i, Whole());
  if (i < count) work(i, Part{static_cast<std::size_t>(count - i)});
}

inline double sum_of_lanes(Vector value) {
  const Floats d;
  return static_cast<double>(hn::GetLane(hn::SumOfLanes(d, value)));
}

}  // namespace bit::trainer::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
