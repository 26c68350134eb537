// Learning rate as a pure function of the step: linear warm-up, then a drop at each boundary (BiT
// paper §3.3) or a cosine (google-research/big_vision).
#pragma once

#include <cstdint>
#include <vector>

namespace bit::trainer {

enum class ScheduleKind { kSteps, kCosine };

struct Schedule {
  double peak = 0;
  std::uint64_t total_steps = 0;
  std::uint64_t warmup_steps = 0;
  std::vector<std::uint64_t> drops;  // ascending, in steps; of kSteps
  double drop_factor = 0.1;
  ScheduleKind kind = ScheduleKind::kSteps;
  double warmup_start = 0;  // share of the peak that step 0 trains at when there is a warm-up

  // Rate of the update that makes step `step` into `step + 1`. A drop at d applies to steps after
  // d, as in the released code. The cosine is at the peak in the first step after the warm-up and
  // reaches 0 at total_steps, which is one step after the last.
  double learning_rate(std::uint64_t step) const;
};

}  // namespace bit::trainer
