// Which ranks share a host, and how many cores there are for them.
#pragma once

#include <string>
#include <vector>

#include "cluster/communicator.h"

namespace bit::cluster {

struct Topology {
  int local_rank = 0;   // of this rank among the ranks of its host, in rank order
  int local_ranks = 1;  // ranks of this host
  // processing units that this process may run on (hwloc, honours affinity and cgroups)
  int cores = 1;
  int host_cores = 1;              // processing units that all ranks of this host together may use
  std::vector<std::string> hosts;  // [rank]
};

// Collective: all ranks call it.
Topology find_topology(Communicator& communicator);

}  // namespace bit::cluster
