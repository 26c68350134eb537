#include "launcher/plan_start.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "storage/checkpoint_manifest.h"
#include "storage/checkpoint_store.h"
#include "storage/safetensors.h"
#include "storage/tfrecord.h"
#include "trainer/resnet_shape.h"
#include "trainer/resume_check.h"

namespace bit::launcher {
namespace {

namespace fs = std::filesystem;

// Whether a folder can be made in `path`, or in the nearest directory above it that exists: 0, or
// errno. Permissions alone do not tell (read-only mounts, /proc), so one is made and removed.
int try_to_write(fs::path path) {
  std::error_code error;
  while (!fs::exists(path, error)) {
    if (error) return error.value();
    path = path.has_parent_path() && path.parent_path() != path ? path.parent_path() : ".";
  }
  std::string probe = (path / ".bit-launch-XXXXXX").string();
  if (::mkdtemp(probe.data()) == nullptr) return errno;
  ::rmdir(probe.c_str());
  return 0;
}

void check_output(const LoadedConfig& loaded) {
  const std::string& output = loaded.config.output();
  for (const std::string& directory : {output, output + "/checkpoints"}) {
    const int reason = try_to_write(fs::path(directory).lexically_normal());
    if (reason == 0) continue;
    const ConfigMistake mistake =
        mistake_about("output", "cannot be written: make", loaded.origins);
    throw storage::StorageError(std::error_code(reason, std::generic_category()),
                                mistake.where + ": " + mistake.what, directory);
  }
}

std::optional<schemas::CheckpointManifest> read_checkpoint_manifest(const std::string& path) {
  try {
    return storage::parse_manifest(
        storage::read_file(storage::posix_file_system(), path + "/MANIFEST"));
  } catch (const storage::DataError&) {
  } catch (const storage::StorageError&) {
  }
  return std::nullopt;  // the start sets it aside and says so
}

// Its step, held against the run.
std::optional<std::uint64_t> newest_checkpoint(const LoadedConfig& loaded, const RunPlan& plan,
                                               const std::string& dataset_hash) {
  const std::string directory = loaded.config.output() + "/checkpoints";
  auto& files = storage::posix_file_system();
  if (!files.exists(directory)) return std::nullopt;
  const storage::CheckpointStore store(files, directory);
  const auto steps = store.steps();
  if (steps.empty()) return std::nullopt;
  const std::string path = store.path(steps.back());
  if (const auto manifest = read_checkpoint_manifest(path)) {
    trainer::require_resumable(*manifest, path, settings_of(loaded.config, plan), dataset_hash);
  }
  return steps.back();
}

bool is_head(const std::string& name) { return name.starts_with("head.fc."); }

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Why the weights do not fit the model; empty when they do. A head of other classes is left out.
std::string misfit(const storage::SafetensorsFile& file, const trainer::ResNetConfig& model,
                   bool& head_fits) {
  for (const trainer::WeightShape& wanted : trainer::weight_shapes(model)) {
    const storage::TensorView* tensor = file.find(wanted.name);
    if (tensor != nullptr && tensor->shape == wanted.shape &&
        tensor->dtype == storage::DType::kF32) {
      continue;
    }
    if (is_head(wanted.name)) {
      head_fits = false;
      continue;
    }
    const std::string found =
        tensor == nullptr
            ? fmt::format("is not among its {} tensors", file.tensors().size())
            : fmt::format("is {} {} there", dtype_name(tensor->dtype), shape_text(tensor->shape));
    return fmt::format("{}, which the model has as F32 {}, {}", wanted.name,
                       shape_text(wanted.shape), found);
  }
  return "";
}

RunStart from_weights(const LoadedConfig& loaded, const RunPlan& plan) {
  RunStart start;
  start.init = loaded.config.model().init();
  std::string wrong;
  try {
    const storage::SafetensorsFile file(start.init);
    if (const std::string why = misfit(file, plan.model, start.head_fits); !why.empty()) {
      wrong = fmt::format("these are not weights of {}: {}", plan.model_name, why);
    }
  } catch (const storage::StorageError& error) {
    wrong = "it cannot be read: " + error.code().message();
  } catch (const storage::DataError& error) {
    std::string reason = error.what();
    if (reason.starts_with(start.init + ": ")) reason.erase(0, start.init.size() + 2);
    wrong = "this is not a safetensors file: " + reason;
  }
  if (!wrong.empty()) {
    throw ConfigError(
        {mistake_about("model.init", "is '" + start.init + "': " + wrong, loaded.origins)});
  }
  return start;
}

}  // namespace

RunStart find_start(const LoadedConfig& loaded, const RunPlan& plan,
                    const std::string& dataset_hash) {
  check_output(loaded);
  RunStart start;
  start.checkpoint = newest_checkpoint(loaded, plan, dataset_hash);
  if (start.checkpoint || loaded.config.model().init().empty()) return start;
  return from_weights(loaded, plan);
}

}  // namespace bit::launcher
