// Runs of bit-launch on the bundled images, made small enough to be repeated: shards made once per
// test program, a run directory per test, real mpirun.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace bit::test {

// Shards of the bundled clothing images (train, validation, test), made by bit-shard in a temporary
// directory at first use.
const std::string& clothing_shards();

// What every mpirun here needs: permission to run as root in a container, and ranks that yield when
// they share cores.
const std::map<std::string, std::string>& mpi_environment();

// A run of bit-launch with a tiny network on the bundled images.
struct TinyRun {
  std::string output;  // run directory
  std::string data = clothing_shards();
  std::vector<std::string> overrides = {};  // on top of the tiny defaults
  int ranks = 1;

  std::vector<std::string> command() const;
  std::unique_ptr<Process> start() const;
  ProcessResult go() const;
};

// Objects of <run>/<name> (metrics.jsonl, order.jsonl ...), in order.
std::vector<nlohmann::json> json_lines(const std::string& path);
// Those of metrics.jsonl whose "event" is `event`.
std::vector<nlohmann::json> events(const std::string& output, const std::string& event);

// Processes, other than this one, with `text` in their command line.
std::vector<pid_t> processes_with(const std::string& text);
// SIGKILL to all of them until none is left.
void kill_all_with(const std::string& text);

// Polls until `condition` holds; false after `seconds`.
template <typename Condition>
bool eventually(Condition condition, double seconds = 60);

std::string file_bytes(const std::string& path);

}  // namespace bit::test

#include <poll.h>

#include <chrono>

template <typename Condition>
bool bit::test::eventually(Condition condition, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    poll(nullptr, 0, 20);  // milliseconds
  }
  return true;
}
