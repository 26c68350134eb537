#include "trainer/schedule.h"

#include <algorithm>
#include <cmath>

namespace bit::trainer {

double Schedule::learning_rate(std::uint64_t step) const {
  if (step < warmup_steps) {
    return peak * static_cast<double>(step) / static_cast<double>(warmup_steps);
  }
  const auto passed = std::lower_bound(drops.begin(), drops.end(), step) - drops.begin();
  return peak * std::pow(drop_factor, static_cast<double>(passed));
}

}  // namespace bit::trainer
