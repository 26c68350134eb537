// bit-model: looks into weights, checkpoints and runs; verifies checkpoints; takes the weights out
// of them.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <ctime>
#include <functional>

#include "launcher/command_line.h"
#include "launcher/exit_code.h"
#include "launcher/model_files.h"
#include "launcher/version.h"
#include "launcher/words.h"
#include "storage/safetensors.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

using storage::CheckpointStore;

constexpr const char* kExamples = R"(
Examples:
  bit-model inspect runs/first                    the checkpoints of a run
  bit-model inspect runs/first/model.safetensors  the tensors of a file
  bit-model verify runs/first                     every byte of every checkpoint
  bit-model export runs/first --output R50x1.safetensors)";

std::string shape_text(const auto& shape) {
  std::string text = "[";
  for (const auto size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

std::string date_text(double unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text;
}

std::uint64_t bytes_of(const schemas::CheckpointManifest& manifest) {
  std::uint64_t bytes = 0;
  for (const auto& part : manifest.parts()) bytes += part.bytes();
  return bytes;
}

std::string files_of(const schemas::CheckpointManifest& manifest) {
  return counted(static_cast<std::uint64_t>(manifest.parts_size()), "file");
}

void print_tensor(const std::string& name, const std::string& dtype, const auto& shape) {
  fmt::print("  {:<52} {:<5} {}\n", name, dtype, shape_text(shape));
}

void inspect_weights(const std::string& path) {
  const storage::SafetensorsFile file(path);
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;
  fmt::print("{}\n", path);
  for (const auto& tensor : file.tensors()) {
    print_tensor(tensor.name, std::string(dtype_name(tensor.dtype)), tensor.shape);
    parameters += tensor.bytes.size() / storage::dtype_bytes(tensor.dtype);
    bytes += tensor.bytes.size();
  }
  for (const auto& [key, value] : file.metadata()) fmt::print("  {}: {}\n", key, value);
  fmt::print("{}, {}, {} bytes\n", counted(file.tensors().size(), "tensor"),
             counted(parameters, "parameter"), bytes);
}

void inspect_checkpoint(const CheckpointStore& store, std::uint64_t step) {
  const auto manifest = checked_manifest(store, step);
  std::size_t tensors = 0;
  std::uint64_t parameters = 0;
  fmt::print("{}\n", store.path(step));
  for (const auto& part : manifest.parts()) {
    for (const auto& tensor : part.tensors()) {
      print_tensor(tensor.name(), tensor.dtype(), tensor.shape());
      std::uint64_t elements = 1;
      for (const auto size : tensor.shape()) elements *= size;
      if (tensor.name().starts_with("model/")) parameters += elements;
      ++tensors;
    }
  }
  fmt::print("step {}, {}, by {}, {}\n", manifest.step(), date_text(manifest.wall_time()),
             manifest.writer(), counted(manifest.ranks(), "rank"));
  fmt::print("{}, {}, {} bytes in {}: every byte as written\n", counted(tensors, "tensor"),
             counted(parameters, "parameter"), bytes_of(manifest), files_of(manifest));
}

// One line for each checkpoint; false when one of them is bad or there is none.
bool list_checkpoints(const CheckpointStore& store, const std::vector<std::uint64_t>& steps) {
  bool good = !steps.empty();
  if (steps.empty()) fmt::print("{}: no checkpoint\n", store.directory());
  for (const std::uint64_t step : steps) {
    CheckpointStore::Problem problem;
    if (const auto manifest = store.validate(step, &problem)) {
      fmt::print("{}  ok   {}  {:.1f} MB in {}\n", store.path(step),
                 date_text(manifest->wall_time()), static_cast<double>(bytes_of(*manifest)) / 1e6,
                 files_of(*manifest));
    } else {
      good = false;
      fmt::print("{}  BAD  {}\n", store.path(step), reason_within(store, problem));
    }
  }
  return good;
}

int inspect(const std::string& path) {
  const ModelPath found = find_model(path);
  if (found.kind == ModelPathKind::kWeights) {
    inspect_weights(found.path);
    return kDone;
  }
  const CheckpointStore store(storage::posix_file_system(), found.path);
  if (found.kind == ModelPathKind::kCheckpoint) {
    inspect_checkpoint(store, found.step);
  } else {
    list_checkpoints(store, store.steps());
  }
  return kDone;
}

int verify(const std::string& path) {
  const ModelPath found = find_model(path);
  if (found.kind == ModelPathKind::kWeights) {
    inspect_weights(found.path);  // its header and sizes are all there is to check
    return kDone;
  }
  const CheckpointStore store(storage::posix_file_system(), found.path);
  const auto steps = found.kind == ModelPathKind::kCheckpoint
                         ? std::vector<std::uint64_t>{found.step}
                         : store.steps();
  return list_checkpoints(store, steps) ? kDone : kNoCheckpoint;
}

int export_model(const std::string& path, const std::string& output,
                 std::optional<std::uint64_t> step) {
  const ModelPath found = find_model(path);
  if (found.kind == ModelPathKind::kWeights)
    throw storage::DataError(path + ": not a run or a checkpoint");
  const CheckpointStore store(storage::posix_file_system(), found.path);
  if (found.kind == ModelPathKind::kCheckpoint) step = found.step;
  const auto manifest = chosen_manifest(store, step);
  const std::size_t tensors = export_weights(store, manifest, output);
  fmt::print("{}: {} of {}\n", output, counted(tensors, "tensor"), store.path(manifest.step()));
  return kDone;
}

// The command's exit code, or that of its failure, said in one line.
int run(const std::function<int()>& command) {
  const auto failed = [](const std::exception& error, int code) {
    print_error("bit-model", error.what());
    return code;
  };
  try {
    return command();
  } catch (const NoUsableCheckpoint& error) {
    return failed(error, kNoCheckpoint);
  } catch (const storage::DataError& error) {
    return failed(error, kDataUnusable);
  } catch (const storage::StorageError& error) {
    return failed(error, kStorage);
  } catch (const std::bad_alloc&) {
    return failed(std::runtime_error("out of memory"), kInternal);
  } catch (const std::exception& error) {
    return failed(error, kInternal);
  }
}

}  // namespace
}  // namespace bit::launcher

int main(int argc, char** argv) {
  using namespace bit::launcher;
  CLI::App app("Weights, checkpoints and runs.", "bit-model");
  app.footer(kExamples);
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  std::string path;
  std::string output;
  std::optional<std::uint64_t> step;
  auto* inspect_command =
      app.add_subcommand("inspect", "tensors of a file or checkpoint; checkpoints of a run");
  inspect_command->add_option("path", path, "model.safetensors, checkpoint or run directory")
      ->required();
  auto* verify_command =
      app.add_subcommand("verify", "check every byte of every checkpoint; exit 77 when one is bad");
  verify_command->add_option("path", path, "run directory or checkpoint")->required();
  auto* export_command = app.add_subcommand(
      "export", "write the weights of a checkpoint as safetensors, timm's names");
  export_command->add_option("path", path, "run directory or checkpoint")->required();
  export_command->add_option("--output", output, "file to write")->required();
  export_command->add_option("--step", step, "step of the checkpoint (default: the newest)");
  if (const auto code = parse_arguments(app, argc, argv)) return *code;
  // A file that outgrows its limit is a storage error with a name, not a silent death.
  std::signal(SIGXFSZ, SIG_IGN);
  return run([&] {
    if (inspect_command->parsed()) return inspect(path);
    if (verify_command->parsed()) return verify(path);
    return export_model(path, output, step);
  });
}
