// bit-bench checkpoint: seconds to write and publish a checkpoint of one rank, and to validate it.
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "launcher/bench.h"
#include "launcher/bench_support.h"
#include "launcher/config.h"
#include "launcher/exit_code.h"
#include "storage/checkpoint_store.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

constexpr std::uint64_t kTensorBytes = 16ull << 20;

struct CheckpointSettings {
  std::string directory = ".";
  std::string size = "256MiB";
  unsigned runs = 5;
};

// A directory below the one that was asked for, removed at the end.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(const std::string& parent)
      : path_(fmt::format("{}/bit-bench-checkpoint-{}", parent, getpid())) {
    storage::posix_file_system().make_directories(path_);
  }
  ~ScratchDirectory() {
    try {
      storage::posix_file_system().remove_tree(path_);
    } catch (const storage::StorageError& error) {
      fmt::print(stderr, "bit-bench: {}\n", error.what());
    }
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Tensors of `bytes` together, all views of `memory`, which holds one of them.
std::vector<storage::TensorView> state_of(std::uint64_t bytes, std::vector<float>& memory) {
  memory.resize(kTensorBytes / sizeof(float));
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<float>(i);
  std::vector<storage::TensorView> tensors;
  for (std::uint64_t left = bytes; left >= sizeof(float);) {
    const std::uint64_t count = std::min(left, kTensorBytes) / sizeof(float);
    tensors.push_back({fmt::format("model/tensor-{}", tensors.size()),
                       storage::DType::kF32,
                       {static_cast<std::int64_t>(count)},
                       std::as_bytes(std::span(memory).first(count))});
    left -= count * sizeof(float);
  }
  return tensors;
}

}  // namespace

int bench_checkpoint(int argc, char** argv) {
  CheckpointSettings settings;
  CLI::App app("Seconds to write, publish and validate a checkpoint", "bit-bench checkpoint");
  app.add_option("--directory", settings.directory, "on the file system to measure")
      ->capture_default_str();
  app.add_option("--size", settings.size, "of the state: 512MiB, 2GB")->capture_default_str();
  app.add_option("--runs", settings.runs)->capture_default_str()->check(positive());
  if (const auto code = parse_arguments(app, argc, argv)) return *code;
  const auto bytes = parse_bytes(settings.size);
  if (!bytes || *bytes < sizeof(float)) {
    throw ConfigError(
        {{"--size", fmt::format("'{}': expected a size such as 512MiB or 2GB", settings.size)}});
  }
  const ScratchDirectory scratch(settings.directory);
  storage::CheckpointStore store(storage::posix_file_system(), scratch.path());
  std::vector<float> memory;
  const auto tensors = state_of(*bytes, memory);
  std::vector<double> write_seconds;
  std::vector<double> validate_seconds;
  for (unsigned run = 1; run <= settings.runs; ++run) {
    const Stopwatch writing;
    const std::string temporary = store.begin(run, "bench");
    schemas::CheckpointManifest manifest;
    manifest.set_step(run);
    manifest.set_ranks(1);
    *manifest.add_parts() = store.write_part(temporary, 0, 1, tensors);
    store.publish(temporary, manifest);
    write_seconds.push_back(writing.seconds());
    const Stopwatch validating;
    storage::CheckpointStore::Problem problem;
    if (!store.validate(run, &problem))
      throw storage::DataError(store.path(run) + ": " + problem.reason);
    validate_seconds.push_back(validating.seconds());
    store.prune(1);
  }
  const double write = percentile(write_seconds, 0.5);
  const double validate = percentile(validate_seconds, 0.5);
  const auto rate = [&](double seconds) { return static_cast<double>(*bytes) / seconds; };
  fmt::print("{} bytes in {} tensors, {} runs\n", *bytes, tensors.size(), settings.runs);
  fmt::print(
      "written and published in {:.3f} s ({:.1f} MB/s), validated in {:.3f} s ({:.1f} MB/s)\n",
      write, rate(write) / 1e6, validate, rate(validate) / 1e6);
  const nlohmann::ordered_json result = {{"benchmark", "checkpoint"},
                                         {"bytes", *bytes},
                                         {"runs", settings.runs},
                                         {"write_seconds", write},
                                         {"write_bytes_per_second", rate(write)},
                                         {"validate_seconds", validate},
                                         {"validate_bytes_per_second", rate(validate)},
                                         {"peak_rss_bytes", peak_rss_bytes()}};
  fmt::print("{}\n", result.dump());
  return kDone;
}

}  // namespace bit::launcher
