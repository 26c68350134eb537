// Work that all ranks do at once and fail at together: the first rank's failure is what every rank
// reports, once.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

#include "cluster/communicator.h"
#include "schemas/config.pb.h"

namespace bit::launcher {

// A failure that every rank knows: rank 0 prints it, all leave with `exit_code`, nobody has to be
// aborted.
class SharedFailure : public std::runtime_error {
 public:
  SharedFailure(int exit_code, const std::string& what)
      : std::runtime_error(what), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// Collective. Runs `work` on every rank; when it throws on any, throws SharedFailure on all with
// the failure of the lowest rank (named when the ranks differ) and its exit code.
void together(cluster::Communicator& communicator, const std::function<void()>& work);

// Collective. Runs `work` on rank 0 and gives its text to all; its failure becomes SharedFailure on
// all.
std::string from_rank_zero(cluster::Communicator& communicator,
                           const std::function<std::string()>& work);

// CRC-32C of the running program's file, as text: ranks with different builds differ in it.
std::string binary_checksum();

}  // namespace bit::launcher
