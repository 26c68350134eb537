// Which ranks share a host, and how many cores there are for them.
#pragma once

#include <string>
#include <vector>

#include "cluster/communicator.h"

namespace bit::cluster {

struct Topology {
  int local_rank = 0;   // of this rank among the ranks of its host, in rank order
  int local_ranks = 1;  // ranks of this host
  int cores =
      1;  // processing units that this process may run on (hwloc, honours affinity and cgroups)
  int host_cores = 1;  // processing units that all ranks of this host together may use
  // Processing units of this host that its cgroups allow, whatever the ranks are bound to (mpirun
  // binds them).
  int allowed_cores = 1;
  std::vector<std::string> hosts;  // [rank]
};

// Collective: all ranks call it.
Topology find_topology(Communicator& communicator);

// Name of this host, without asking the network.
std::string host_name();

// Cores that the text of a cgroup's cpu.max ("<quota> <period>" in microseconds, or "max <period>")
// allows, rounded up; `unlimited` when it sets no limit (kernel:
// Documentation/admin-guide/cgroup-v2.rst).
int cores_of_cpu_max(const std::string& cpu_max, int unlimited);

}  // namespace bit::cluster
