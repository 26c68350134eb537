// What a failure means for the process, before it is said. Failures of a training run are known
// only to programs that train: exactly one of training_verdict.cpp and no_training_verdict.cpp is
// linked.
#pragma once

#include <exception>
#include <optional>
#include <string>

#include "launcher/exit_code.h"

namespace bit::launcher {

struct Verdict {
  int exit_code = kInternal;
  bool shared = false;  // every rank meets it at the same place
  std::string message;  // lines; the last one is the final line
};

// Nothing for a failure that is not of a training run or its configuration.
std::optional<Verdict> training_verdict(const std::exception_ptr& failure);

}  // namespace bit::launcher
