// Learning rate as a pure function of the step: linear warm-up from 0, then a drop at each boundary
// (BiT paper §3.1, §3.3).
#pragma once

#include <cstdint>
#include <vector>

namespace bit::trainer {

struct Schedule {
  double peak = 0;
  std::uint64_t total_steps = 0;
  std::uint64_t warmup_steps = 0;
  std::vector<std::uint64_t> drops;  // ascending, in steps
  double drop_factor = 0.1;

  // Rate of the update that makes step `step` into `step + 1`: step 0 trains at 0 when there is a
  // warm-up; a drop at d applies to steps after d, as in the released code.
  double learning_rate(std::uint64_t step) const;
};

}  // namespace bit::trainer
