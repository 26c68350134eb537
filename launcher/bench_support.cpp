#include "launcher/bench_support.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "launcher/words.h"

namespace bit::launcher {

void warn_of_threads(std::uint64_t threads) {
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  if (threads > cores) {
    fmt::print(stderr, "warning: {} on {}\n", counted(threads, "thread"), counted(cores, "core"));
  }
}

double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

std::uint64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace bit::launcher
