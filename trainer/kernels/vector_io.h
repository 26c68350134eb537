// Loads and stores of fp32 vectors from and to fp32 or bf16 memory. Included once per Highway
// target, inside HWY_BEFORE_NAMESPACE of the including file.
#include <c10/util/BFloat16.h>
#include <hwy/highway.h>

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

}  // namespace bit::trainer::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
