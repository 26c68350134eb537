// Who shares a host, and how many cores there are.
#include "cluster/topology.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "cluster/self_communicator.h"
#include "cluster/thread_communicator.h"

namespace bit::cluster {
namespace {

int affinity_of_this_process() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  return CPU_COUNT(&set);
}

TEST(Topology, of_a_run_of_one) {
  const Topology topology = find_topology(*make_self_communicator());
  EXPECT_EQ(topology.local_rank, 0);
  EXPECT_EQ(topology.local_ranks, 1);
  EXPECT_GE(topology.cores, 1);
  EXPECT_LE(topology.cores, affinity_of_this_process());
  EXPECT_EQ(topology.host_cores, topology.cores);
  EXPECT_EQ(topology.hosts, std::vector<std::string>{host_name()});
}

TEST(Topology, ranks_of_one_host_are_counted_in_rank_order_and_share_its_cores) {
  run_ranks_as_threads(3, [](Communicator& communicator) {
    const Topology topology = find_topology(communicator);
    EXPECT_EQ(topology.local_rank, communicator.rank());
    EXPECT_EQ(topology.local_ranks, 3);
    EXPECT_EQ(topology.host_cores, topology.cores) << "the same cores are counted once";
    EXPECT_EQ(topology.hosts, std::vector<std::string>(3, host_name()));
  });
}

// Binds every thread of this process to its first core, as mpirun does before it starts one.
void bind_to_one_core() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  int first = 0;
  while (!CPU_ISSET(first, &set)) ++first;
  CPU_ZERO(&set);
  CPU_SET(first, &set);
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    sched_setaffinity(std::stoi(thread.path().filename().string()), sizeof set, &set);
  }
}

TEST(Topology, a_process_bound_to_one_core_has_one) {
  EXPECT_EXIT(
      {
        bind_to_one_core();
        std::_Exit(find_topology(*make_self_communicator()).cores);
      },
      testing::ExitedWithCode(1), "");
}

TEST(Topology, the_quota_of_a_container_is_rounded_up_to_cores) {
  EXPECT_EQ(cores_of_cpu_max("max 100000", 64), 64);
  EXPECT_EQ(cores_of_cpu_max("200000 100000", 64), 2);
  EXPECT_EQ(cores_of_cpu_max("150000 100000", 64), 2);
  EXPECT_EQ(cores_of_cpu_max("1000 100000", 64), 1);
  EXPECT_EQ(cores_of_cpu_max("-1 100000", 64), 64);  // cgroup v1: no limit
  EXPECT_EQ(cores_of_cpu_max("", 64), 64);
}

}  // namespace
}  // namespace bit::cluster
