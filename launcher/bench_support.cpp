#include "launcher/bench_support.h"

#include <fmt/format.h>
#include <hwy/targets.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "launcher/words.h"
#include "storage/file.h"

namespace bit::launcher {
namespace {

// Paths of the JPEG files below `folder`.
void find_images(storage::FileSystem& files, const std::string& folder,
                 std::vector<std::string>& paths) {
  for (const auto& entry : files.list(folder)) {
    const std::string path = folder + "/" + entry.name;
    if (entry.is_directory) {
      find_images(files, path, paths);
      continue;
    }
    std::string name = entry.name;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (name.ends_with(".jpg") || name.ends_with(".jpeg")) paths.push_back(path);
  }
}

}  // namespace

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

std::uint64_t rss_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;  // pages
  statm >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void answer_requests(const std::function<MeasuredWindow(double)>& measure) {
  for (std::string line; std::getline(std::cin, line);) {
    double seconds = 0;
    if (line.empty()) continue;
    if (std::sscanf(line.c_str(), "go %lf", &seconds) != 1 || !(seconds > 0)) {
      throw std::invalid_argument("'" + line + "' is not a request such as 'go 2.5'");
    }
    const MeasuredWindow window = measure(seconds);
    const nlohmann::ordered_json answer = {{"images", window.images},
                                           {"seconds", window.seconds},
                                           {"cpu_seconds", window.cpu_seconds},
                                           {"rss_bytes", rss_bytes()},
                                           {"peak_rss_bytes", peak_rss_bytes()}};
    fmt::print("{}\n", answer.dump());
    std::fflush(stdout);
  }
}

void add_mode(CLI::App& app, BenchMode& mode) {
  app.add_flag("--on-request", mode.on_request,
               "measure a window for each line 'go SECONDS' of standard input");
  app.add_option("--simd", mode.simd, "best, or avx2 for no wider vectors than those")
      ->capture_default_str()
      ->check(one_of({"best", "avx2"}));
}

void apply_simd(const BenchMode& mode) {
  if (mode.simd == "best") return;
  // Better targets have lower bits; HWY_AVX2 and what is below it in speed stay.
  hwy::DisableTargets(HWY_AVX2 - 1);
}

std::vector<std::string> read_jpeg_folder(const std::string& folder, std::uint64_t limit) {
  auto& files = storage::posix_file_system();
  std::vector<std::string> paths, images;
  find_images(files, folder, paths);
  std::sort(paths.begin(), paths.end());
  paths.resize(std::min<std::size_t>(paths.size(), limit));
  for (const std::string& path : paths) images.push_back(storage::read_file(files, path));
  return images;
}

}  // namespace bit::launcher
