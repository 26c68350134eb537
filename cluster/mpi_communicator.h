// Ranks as MPI processes: bootstrap, control, and gradient sums on CPUs.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "cluster/communicator.h"

namespace bit::cluster {

// Elements or bytes of one MPI call; longer collectives are split (MPI counts are int).
inline constexpr std::size_t kMaxMpiCount = std::size_t{1} << 28;

// MPI_Init_thread(MULTIPLE) and MPI_Finalize around its lifetime; make one, in main. Without mpirun
// it is a run of one and MPI is not started.
class MpiEnvironment {
 public:
  // Throws CommError when MPI does not start or grants fewer threads than needed.
  MpiEnvironment(int* argc, char*** argv);
  // Finalizes, unless a collective has failed or the process is ending by an exception or abort:
  // then waiting for the other ranks could last for ever, and leaving without MPI_Finalize makes
  // mpirun end them.
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  // Communicator over all processes; the self communicator when there is one process. Collective.
  // `max_count` is for tests.
  std::unique_ptr<Communicator> world(std::chrono::milliseconds deadline = std::chrono::minutes(10),
                                      std::size_t max_count = kMaxMpiCount);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace bit::cluster
