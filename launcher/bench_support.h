// What the benchmarks share: percentiles, images, warnings and the memory they took.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "launcher/command_line.h"

namespace bit::launcher {

// Says on standard error when `threads` exceed the cores this process may use.
void warn_of_threads(std::uint64_t threads);

// The value below which `share` (0 to 1) of the values lie: 0.5 is the median. Not of an empty
// list.
double percentile(std::vector<double> values, double share);

// Most memory this process ever held (getrusage), in bytes.
std::uint64_t peak_rss_bytes();
// What it holds now (/proc/self/statm).
std::uint64_t rss_bytes();
// User and system time of all its threads so far.
double cpu_seconds();

// The content of the first `limit` .jpg and .jpeg files in `folder` or below it, by path. Throws
// storage::StorageError.
std::vector<std::string> read_jpeg_folder(const std::string& folder, std::uint64_t limit);

// What a benchmark handled in one window.
struct MeasuredWindow {
  std::uint64_t images = 0;
  double seconds = 0;
  double cpu_seconds = 0;
};

// For programs that measure several benchmarks by turns: answers each line "go SECONDS" of standard
// input, until that ends, with one line: a JSON object of the window that `measure` then took and
// of the memory held. Throws std::invalid_argument for any other line but an empty one.
void answer_requests(const std::function<MeasuredWindow(double seconds)>& measure);

// Adds --on-request and --simd, which say how to measure.
struct BenchMode {
  bool on_request = false;
  std::string simd = "best";
};
void add_mode(CLI::App& app, BenchMode& mode);
// Vectors wider than AVX2's are not used from here on when `mode` says so.
void apply_simd(const BenchMode& mode);

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace bit::launcher
