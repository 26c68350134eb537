#include "cluster/topology.h"

#include <hwloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <memory>
#include <sstream>

namespace bit::cluster {
namespace {

struct FreeBitmap {
  void operator()(hwloc_bitmap_s* bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, FreeBitmap>;

struct DestroyTopology {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};

Bitmap make_bitmap() {
  Bitmap bitmap(hwloc_bitmap_alloc());
  if (bitmap == nullptr) throw std::bad_alloc();
  return bitmap;
}

// Processing units of this host: what cgroups allow, and of these what the process is bound to.
struct Units {
  Bitmap allowed = make_bitmap();
  Bitmap usable = make_bitmap();
};

Units find_units() {
  hwloc_topology* raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) throw std::runtime_error("hwloc: cannot start");
  const std::unique_ptr<hwloc_topology, DestroyTopology> topology(raw);
  if (hwloc_topology_load(raw) != 0) throw std::runtime_error("hwloc: cannot read the topology");
  Units units;
  hwloc_bitmap_copy(units.allowed.get(), hwloc_topology_get_allowed_cpuset(raw));
  if (hwloc_get_cpubind(raw, units.usable.get(), HWLOC_CPUBIND_PROCESS) != 0) {
    hwloc_bitmap_copy(units.usable.get(), units.allowed.get());
  }
  hwloc_bitmap_and(units.usable.get(), units.usable.get(), units.allowed.get());
  return units;
}

std::string text_of(const Bitmap& bitmap) {
  char* text = nullptr;
  if (hwloc_bitmap_asprintf(&text, bitmap.get()) < 0) throw std::bad_alloc();
  const std::unique_ptr<char, decltype(&std::free)> owner(text, &std::free);
  return text;
}

int count(const Bitmap& bitmap) { return std::max(1, hwloc_bitmap_weight(bitmap.get())); }

// The CPU quota of the container, in cores. cgroup v2 first, then v1 (two files, -1 for no limit).
int cgroup_cores() {
  constexpr int kUnlimited = std::numeric_limits<int>::max();
  std::string text;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); std::getline(v2, text)) {
    return cores_of_cpu_max(text, kUnlimited);
  }
  std::string quota, period;
  std::ifstream quota_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream period_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (quota_file >> quota && period_file >> period) {
    return cores_of_cpu_max(quota + " " + period, kUnlimited);
  }
  return kUnlimited;
}

}  // namespace

int cores_of_cpu_max(const std::string& cpu_max, int unlimited) {
  std::istringstream text(cpu_max);
  long long quota = 0, period = 0;
  if (!(text >> quota >> period) || quota <= 0 || period <= 0) return unlimited;
  const long long cores = quota / period + (quota % period != 0 ? 1 : 0);
  return static_cast<int>(std::min<long long>(cores, unlimited));
}

std::string host_name() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "unknown";
  return name;
}

Topology find_topology(Communicator& communicator) {
  const Units own = find_units();
  const auto units = communicator.all_gather(text_of(own.usable));
  const int quota = cgroup_cores();

  Topology topology;
  topology.hosts = communicator.all_gather(communicator.host());
  topology.cores = std::min(count(own.usable), quota);
  topology.local_ranks = 0;
  const Bitmap together = make_bitmap();
  const Bitmap one = make_bitmap();
  for (std::size_t r = 0; r < units.size(); ++r) {
    if (topology.hosts[r] != communicator.host()) continue;
    if (static_cast<int>(r) == communicator.rank()) topology.local_rank = topology.local_ranks;
    ++topology.local_ranks;
    hwloc_bitmap_sscanf(one.get(), units[r].c_str());
    hwloc_bitmap_or(together.get(), together.get(), one.get());
  }
  topology.host_cores = std::min(count(together), quota);
  topology.allowed_cores = std::min(count(own.allowed), quota);
  return topology;
}

}  // namespace bit::cluster
