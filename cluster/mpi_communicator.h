// Ranks as MPI processes: bootstrap, control, and gradient sums on CPUs.
#pragma once

#include <chrono>
#include <memory>

#include "cluster/communicator.h"

namespace bit::cluster {

// MPI_Init_thread(MULTIPLE) and MPI_Finalize around its lifetime; make one, in main. Without mpirun
// it is a run of one.
class MpiEnvironment {
 public:
  // Throws CommError when MPI does not start or grants fewer threads than needed.
  MpiEnvironment(int* argc, char*** argv);
  ~MpiEnvironment();  // finalizes, unless the process is ending by an exception or abort
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  // Communicator over all processes; the self communicator when there is one process.
  std::unique_ptr<Communicator> world(
      std::chrono::milliseconds deadline = std::chrono::minutes(10));
};

}  // namespace bit::cluster
