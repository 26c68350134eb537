// Ranks agree before they work: the same configuration, the same binary, the same dataset.
#pragma once

#include <stdexcept>
#include <string>

#include "cluster/communicator.h"

namespace bit::cluster {

// Ranks hold different values of what has to be one: exit code 3.
class DisagreementError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Collective. When `value` is not the same text on all ranks, throws on every rank the same
// DisagreementError: rank by rank the host and value of rank 0 and of the ranks that differ from
// it, and a last line that names `what`. Of values with several lines, only the lines that differ
// are shown.
void require_agreement(Communicator& communicator, const std::string& what,
                       const std::string& value);

}  // namespace bit::cluster
