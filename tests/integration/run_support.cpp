#include "tests/integration/run_support.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace bit::test {
namespace {

// Binaries and the bundle, from the build.
const std::string kBin = BIT_BIN_DIRECTORY;
const std::string kBundle = BIT_SOURCE_DIRECTORY "/examples/clothing-72.tar";

class Shards {
 public:
  Shards() {
    run({"tar", "-xf", kBundle, "-C", directory_.path()});
    for (const std::string split : {"train", "validation", "test"}) {
      run({kBin + "/bit-shard", "convert", "--input", directory_ / ("clothing-72/" + split),
           "--output", path(), "--name", "clothing", "--split", split, "--shards", "4", "--threads",
           "2"});
    }
  }
  const std::string& path() const { return path_; }

 private:
  static void run(const std::vector<std::string>& argv) {
    const ProcessResult result = run_process(argv);
    if (result.exit_code != 0)
      throw std::runtime_error(argv[0] + " " + argv[1] + " failed: " + result.err);
  }
  TempDirectory directory_;
  std::string path_ = directory_ / "shards";
};

}  // namespace

const std::string& clothing_shards() {
  static const Shards shards;
  return shards.path();
}

const std::map<std::string, std::string>& mpi_environment() {
  static const std::map<std::string, std::string> environment = {
      {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
      {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
      {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"},
      {"OMPI_MCA_mpi_yield_when_idle", "1"},
      {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
      {"OMPI_MCA_hwloc_base_binding_policy", "none"},
  };
  return environment;
}

std::vector<std::string> TinyRun::command() const {
  std::vector<std::string> argv = {"mpirun",
                                   "-n",
                                   std::to_string(ranks),
                                   kBin + "/bit-launch",
                                   BIT_SOURCE_DIRECTORY "/tests/data/tiny.yaml",
                                   "output=" + output,
                                   "data.path=" + data};
  argv.insert(argv.end(), overrides.begin(), overrides.end());
  return argv;
}

std::unique_ptr<Process> TinyRun::start() const {
  return std::make_unique<Process>(command(), mpi_environment());
}

ProcessResult TinyRun::go() const { return start()->wait(); }

std::vector<nlohmann::json> json_lines(const std::string& path) {
  std::vector<nlohmann::json> lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    auto value = nlohmann::json::parse(line, nullptr, false);
    if (!value.is_discarded()) lines.push_back(std::move(value));
  }
  return lines;
}

std::vector<nlohmann::json> events(const std::string& output, const std::string& event) {
  std::vector<nlohmann::json> found;
  for (auto& line : json_lines(output + "/metrics.jsonl")) {
    if (line.at("event") == event) found.push_back(std::move(line));
  }
  return found;
}

std::vector<pid_t> processes_with(const std::string& text) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (!std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c); }))
      continue;
    const auto pid = static_cast<pid_t>(std::stol(name));
    if (pid != getpid() && file_bytes(entry.path() / "cmdline").find(text) != std::string::npos)
      found.push_back(pid);
  }
  return found;
}

void kill_all_with(const std::string& text) {
  const bool gone = eventually([&] {
    const auto pids = processes_with(text);
    for (const pid_t pid : pids) kill(pid, SIGKILL);
    return pids.empty();
  });
  ASSERT_TRUE(gone) << "processes with " << text << " outlive SIGKILL";
}

std::string file_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace bit::test
