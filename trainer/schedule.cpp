#include "trainer/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace bit::trainer {

double Schedule::learning_rate(std::uint64_t step) const {
  if (step < warmup_steps) {
    const double start = peak * warmup_start;
    return start + (peak - start) * static_cast<double>(step) / static_cast<double>(warmup_steps);
  }
  if (kind == ScheduleKind::kCosine) {
    if (step >= total_steps) return 0;
    const double share =
        static_cast<double>(step - warmup_steps) / static_cast<double>(total_steps - warmup_steps);
    return peak * 0.5 * (1 + std::cos(std::numbers::pi * share));
  }
  const auto passed = std::lower_bound(drops.begin(), drops.end(), step) - drops.begin();
  return peak * std::pow(drop_factor, static_cast<double>(passed));
}

}  // namespace bit::trainer
