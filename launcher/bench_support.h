// What the benchmarks share: arguments, percentiles and the memory they took.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace bit::launcher {

// The exit code to leave with, when there is no more to do (--help, or arguments that do not fit).
std::optional<int> parse_arguments(CLI::App& app, int argc, char** argv);

// The value below which `share` (0 to 1) of the values lie: 0.5 is the median. Not of an empty
// list.
double percentile(std::vector<double> values, double share);

// Most memory this process ever held (getrusage), in bytes.
std::uint64_t peak_rss_bytes();

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace bit::launcher
