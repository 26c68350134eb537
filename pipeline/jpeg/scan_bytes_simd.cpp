#include "pipeline/jpeg/scan_bytes_simd.h"

#include <algorithm>
#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "pipeline/jpeg/scan_bytes_simd.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace bit::pipeline {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The search stops where 0xFF is followed by neither 0 nor a restart marker.
enum class Pair { kStuffed, kRestart, kOther };

inline Pair pair_at(const std::uint8_t* ff) {
  if (ff[1] == 0) return Pair::kStuffed;
  return (ff[1] & 0xF8) == 0xD0 ? Pair::kRestart : Pair::kOther;
}

void find_restarts_simd(std::span<const std::uint8_t> coded, std::size_t most,
                        std::vector<std::uint32_t>& starts) {
  const hn::CappedTag<std::uint8_t, 32> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto ff = hn::Set(d, 0xFF), restart = hn::Set(d, 0xD0), kind = hn::Set(d, 0xF8);
  const auto zero = hn::Zero(d);
  const std::uint8_t* const bytes = coded.data();
  most = std::min(most, coded.size() / 2 + 1);  // a marker takes two bytes
  starts.resize(most + lanes);
  std::size_t count = 1, i = 0;
  starts[0] = 0;
  for (; i + lanes + 1 <= coded.size() && count < most; i += lanes) {
    const auto here = hn::LoadU(d, bytes + i), after = hn::LoadU(d, bytes + i + 1);
    const auto is_ff = hn::Eq(here, ff);
    const auto is_restart = hn::And(is_ff, hn::Eq(hn::And(after, kind), restart));
    const auto is_plain = hn::Or(is_restart, hn::Eq(after, zero));
    if (!hn::AllFalse(d, hn::AndNot(is_plain, is_ff))) break;
    std::uint8_t bits[8];
    hn::StoreMaskBits(d, is_restart, bits);
    std::uint32_t set = 0;
    std::memcpy(&set, bits, (lanes + 7) / 8);  // no more than was written: it is forwarded
    // One or none nearly always, and not to be foreseen which: no branch.
    starts[count] =
        static_cast<std::uint32_t>(i + static_cast<std::size_t>(std::countr_zero(set)) + 2);
    count += set != 0 ? 1 : 0;
    for (set &= set - 1; HWY_UNLIKELY(set != 0); set &= set - 1) {
      starts[count++] =
          static_cast<std::uint32_t>(i + static_cast<std::size_t>(std::countr_zero(set)) + 2);
    }
  }
  starts.resize(std::min(count, most));
  for (; i + 1 < coded.size() && starts.size() < most; ++i) {
    if (bytes[i] != 0xFF) continue;
    const Pair pair = pair_at(bytes + i);
    if (pair == Pair::kOther) return;
    if (pair == Pair::kRestart) starts.push_back(static_cast<std::uint32_t>(i + 2));
  }
}

std::size_t unstuff_simd(std::span<const std::uint8_t> coded, std::size_t readable,
                         std::uint8_t* out, std::size_t& taken) {
  const hn::CappedTag<std::uint8_t, 32> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto ff = hn::Set(d, 0xFF);
  const std::uint8_t* next = coded.data();
  const std::uint8_t* const end = next + coded.size();
  const std::uint8_t* const last = next + readable;
  std::uint8_t* const begin = out;
  while (next < end) {
    std::ptrdiff_t clean = 0;  // bytes before the next 0xFF, of those looked at
    if (static_cast<std::size_t>(last - next) >= lanes) {
      const auto here = hn::LoadU(d, next);
      hn::StoreU(here, d, out);
      clean = hn::FindFirstTrue(d, hn::Eq(here, ff));
      if (clean < 0) clean = static_cast<std::ptrdiff_t>(lanes);
      clean = std::min(clean, end - next);
    } else {
      while (next + clean < end && next[clean] != 0xFF) ++clean;
      std::memcpy(out, next, static_cast<std::size_t>(clean));
    }
    next += clean;
    out += clean;
    if (next == end) break;
    if (*next != 0xFF) continue;
    if (end - next < 2 || next[1] != 0) break;  // a marker, or cut short
    *out++ = 0xFF;
    next += 2;
  }
  taken = static_cast<std::size_t>(next - coded.data());
  return static_cast<std::size_t>(out - begin);
}

}  // namespace HWY_NAMESPACE
}  // namespace bit::pipeline
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bit::pipeline {

HWY_EXPORT(find_restarts_simd);
HWY_EXPORT(unstuff_simd);

void find_restarts(std::span<const std::uint8_t> coded, std::size_t most,
                   std::vector<std::uint32_t>& starts) {
  HWY_DYNAMIC_DISPATCH(find_restarts_simd)(coded, most, starts);
}

std::size_t unstuff(std::span<const std::uint8_t> coded, std::size_t readable, std::uint8_t* out,
                    std::size_t& taken) {
  return HWY_DYNAMIC_DISPATCH(unstuff_simd)(coded, readable, out, taken);
}

}  // namespace bit::pipeline
#endif
