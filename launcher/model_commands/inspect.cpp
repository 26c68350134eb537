// bit-model inspect, verify: what a file, a checkpoint or a run holds.
#include <fmt/format.h>

#include <ctime>
#include <vector>

#include "launcher/exit_code.h"
#include "launcher/model_commands/commands.h"
#include "launcher/words.h"
#include "storage/tfrecord.h"
#include "trainer/model_path.h"
#include "trainer/weight_check.h"

namespace bit::launcher {
namespace {

using storage::CheckpointStore;
using trainer::ModelPathKind;

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

void print_tensor(const std::string& name, const std::string& dtype,
                  std::span<const std::int64_t> shape) {
  fmt::print("  {:<52} {:<5} {}\n", name, dtype, trainer::shape_text(shape));
}

// What network the weights are of, where they are of one.
void print_network(const std::string& path) {
  try {
    const trainer::WeightSource source(path);
    fmt::print("{}, names of {}\n", describe_network(source), format_name(source.format()));
  } catch (const storage::DataError&) {
  }
}

void inspect_weights(const std::string& path, bool read_all) {
  const auto file = trainer::open_weight_file(path);
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;
  std::vector<std::byte> content;
  fmt::print("{}\n", path);
  for (std::size_t i = 0; i < file->tensors().size(); ++i) {
    const trainer::StoredTensor& tensor = file->tensors()[i];
    print_tensor(tensor.name, tensor.type, tensor.shape);
    if (tensor.dtype) parameters += tensor.bytes / storage::dtype_bytes(*tensor.dtype);
    bytes += tensor.bytes;
    if (!read_all || !tensor.dtype) continue;
    content.resize(tensor.bytes);
    file->read(i, content);
  }
  for (const auto& [key, value] : file->metadata()) fmt::print("  {}: {}\n", key, value);
  print_network(path);
  fmt::print("{}, {}, {} bytes\n", counted(file->tensors().size(), "tensor"),
             counted(parameters, "parameter"), bytes);
}

void inspect_checkpoint(const CheckpointStore& store, std::uint64_t step) {
  const auto manifest = trainer::checked_manifest(store, step);
  std::size_t tensors = 0;
  std::uint64_t parameters = 0;
  fmt::print("{}\n", store.path(step));
  for (const auto& part : manifest.parts()) {
    for (const auto& tensor : part.tensors()) {
      const std::vector<std::int64_t> shape(tensor.shape().begin(), tensor.shape().end());
      print_tensor(tensor.name(), tensor.dtype(), shape);
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
      fmt::print("{}  BAD  {}\n", store.path(step), trainer::reason_within(store, problem));
    }
  }
  return good;
}

}  // namespace

int inspect(const std::string& path) {
  const trainer::ModelPath found = trainer::find_model(path);
  if (found.kind == ModelPathKind::kWeights) {
    inspect_weights(found.path, false);
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
  const trainer::ModelPath found = trainer::find_model(path);
  if (found.kind == ModelPathKind::kWeights) {
    // safetensors have no checksums: header and sizes are all there is to check. .npz has.
    inspect_weights(found.path, true);
    return kDone;
  }
  const CheckpointStore store(storage::posix_file_system(), found.path);
  const auto steps = found.kind == ModelPathKind::kCheckpoint
                         ? std::vector<std::uint64_t>{found.step}
                         : store.steps();
  return list_checkpoints(store, steps) ? kDone : kNoCheckpoint;
}

}  // namespace bit::launcher
