// Ranks as threads of one process, for tests: the same collectives, summed in rank order.
#pragma once

#include <chrono>
#include <functional>

#include "cluster/communicator.h"

namespace bit::cluster {

// Runs `body` on `ranks` threads, each with its own communicator, and joins them. The first
// exception by rank is rethrown; when one rank throws, the collectives of the others end with
// CommError naming it.
void run_ranks_as_threads(int ranks, const std::function<void(Communicator&)>& body,
                          std::chrono::milliseconds deadline = std::chrono::seconds(60));

}  // namespace bit::cluster
