// Vector code on every instruction set that it is compiled for and this machine has.
#pragma once

#include <hwy/targets.h>

#include <cstdint>

namespace bit::test {

// Runs `check` once for each instruction set, with its name. Not for two threads at once.
template <typename Check>
void on_every_target(Check check) {
  const std::int64_t all = hwy::SupportedTargets() & HWY_TARGETS;
  for (std::int64_t rest = all; rest != 0; rest &= rest - 1) {
    const std::int64_t target = rest & -rest;
    hwy::GetChosenTarget().Update(target);
    check(hwy::TargetName(target));
  }
  hwy::GetChosenTarget().Update(all);
}

}  // namespace bit::test
