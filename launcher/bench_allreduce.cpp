// mpirun -n RANKS bit-bench allreduce: time of a sum over all ranks, by size.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cluster/mpi_communicator.h"
#include "launcher/bench.h"
#include "launcher/bench_support.h"
#include "launcher/exit_code.h"

namespace bit::launcher {
namespace {

constexpr std::uint64_t kSmallest = 1024;
constexpr std::uint64_t kLargest = 100ull << 20;
constexpr int kWarmUp = 3;
constexpr std::int64_t kFewest = 5;  // sums of one size
constexpr std::int64_t kMost = 10000;

// Seconds of each sum of `values`, on this rank. All ranks make the same number of sums.
std::vector<double> measure(cluster::Communicator& communicator, std::vector<float>& values,
                            double seconds) {
  communicator.barrier();
  const Stopwatch warm_up;
  for (int i = 0; i < kWarmUp; ++i) communicator.all_reduce(values);
  std::int64_t count = static_cast<std::int64_t>(seconds / (warm_up.seconds() / kWarmUp));
  communicator.all_reduce(std::span(&count, 1), cluster::ReduceOp::kMin);
  count = std::clamp(count, kFewest, kMost);
  std::vector<double> times;
  for (std::int64_t i = 0; i < count; ++i) {
    communicator.barrier();
    const Stopwatch watch;
    communicator.all_reduce(values);
    times.push_back(watch.seconds());
  }
  return times;
}

}  // namespace

int bench_allreduce(int argc, char** argv) {
  double seconds = 1;
  CLI::App app("Seconds of a sum over all ranks, by size", "bit-bench allreduce");
  app.add_option("--seconds", seconds, "for each size")->capture_default_str()->check(positive());
  if (const auto code = parse_arguments(app, argc, argv)) return *code;
  cluster::MpiEnvironment mpi(&argc, &argv);
  const auto world = mpi.world();
  const bool first = world->rank() == 0;
  if (first) fmt::print("{} ranks, {}\n", world->size(), world->name());
  auto sizes = nlohmann::ordered_json::array();
  for (std::uint64_t bytes = kSmallest;; bytes = std::min(bytes * 4, kLargest)) {
    std::vector<float> values(bytes / sizeof(float),
                              0);  // zeros stay finite however often they are added
    const auto times = measure(*world, values, seconds);
    const double p50 = percentile(times, 0.5);
    const double p99 = percentile(times, 0.99);
    if (first) {
      fmt::print("{:>10} bytes: p50 {:9.1f} us, p99 {:9.1f} us, {:8.1f} MB/s\n", bytes, 1e6 * p50,
                 1e6 * p99, static_cast<double>(bytes) / p50 / 1e6);
    }
    sizes.push_back(
        {{"bytes", bytes}, {"p50_seconds", p50}, {"p99_seconds", p99}, {"sums", times.size()}});
    if (bytes == kLargest) break;
  }
  const nlohmann::ordered_json result = {{"benchmark", "allreduce"},
                                         {"ranks", world->size()},
                                         {"transport", world->name()},
                                         {"sizes", sizes},
                                         {"peak_rss_bytes", peak_rss_bytes()}};
  if (first) fmt::print("{}\n", result.dump());
  return kDone;
}

}  // namespace bit::launcher
