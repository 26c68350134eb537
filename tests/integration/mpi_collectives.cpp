// One rank of the programs that mpi_ranks_test.cpp starts under mpirun: mpi_collectives MODE.
#include <cstdio>
#include <exception>
#include <future>
#include <stdexcept>
#include <string>

#include "cluster/agreement.h"
#include "cluster/mpi_communicator.h"
#include "cluster/topology.h"
#include "launcher/exit_code.h"
#include "tests/support/collectives_suite.h"

namespace bit::cluster {
namespace {

using std::chrono::milliseconds;

int report(const std::vector<std::string>& failures) {
  for (const std::string& failure : failures) std::fprintf(stderr, "%s\n", failure.c_str());
  return failures.empty() ? launcher::kDone : launcher::kInternal;
}

int check_values(Communicator& communicator) {
  auto failures = test::check_collectives(communicator);
  const Topology topology = find_topology(communicator);
  if (topology.local_rank != communicator.rank() || topology.local_ranks != communicator.size()) {
    failures.push_back("the ranks of this host are counted wrong");
  }
  if (communicator.rank() == 0) {
    std::printf("%s communicator of %d\n", communicator.name(), communicator.size());
  }
  return report(failures);
}

// Never returns: the rank is stuck until it is killed.
[[noreturn]] void be_stuck() {
  std::promise<void>().get_future().wait();
  std::terminate();
}

int run(MpiEnvironment& environment, const std::string& mode) {
  if (mode == "values") return check_values(*environment.world());
  if (mode == "split") return check_values(*environment.world(std::chrono::minutes(1), 30'000));

  const bool short_deadline = mode == "stuck" || mode == "stuck-duplicate";
  const auto communicator =
      environment.world(short_deadline ? milliseconds(300) : milliseconds(600'000));
  const bool last = communicator->rank() == communicator->size() - 1;
  try {
    if (mode == "stuck") {
      if (last) be_stuck();
      communicator->barrier();
    } else if (mode == "stuck-duplicate") {
      if (last) be_stuck();
      communicator->duplicate();
    } else if (mode == "abort") {
      if (last) communicator->abort(launcher::kStorage);
      communicator->barrier();
    } else if (mode == "exception") {
      if (last) throw std::runtime_error("record 17 is broken");
      communicator->barrier();
    } else if (mode == "disagree") {
      require_agreement(*communicator, "dataset hash", last ? "bbbb" : "aaaa");
    } else {
      return launcher::kUsage;
    }
  } catch (const CommError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    communicator->abort(launcher::kCommLost);
  }
  return launcher::kDone;
}

int run_and_report(int argc, char** argv) {
  try {
    MpiEnvironment environment(&argc, &argv);
    return run(environment, argc == 2 ? argv[1] : "");
  } catch (const DisagreementError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return launcher::kPreflight;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return launcher::kDataUnusable;
  }
}

}  // namespace
}  // namespace bit::cluster

int main(int argc, char** argv) { return bit::cluster::run_and_report(argc, argv); }
