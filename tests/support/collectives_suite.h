// What every Communicator has to do, as a program that all ranks run: used in process and under
// mpirun.
#pragma once

#include <string>
#include <vector>

#include "cluster/communicator.h"

namespace bit::test {

// Collective. Returns what was wrong on this rank; empty when all is well.
std::vector<std::string> check_collectives(cluster::Communicator& communicator);

}  // namespace bit::test
