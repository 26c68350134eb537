#include "launcher/plan_start.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "storage/checkpoint_manifest.h"
#include "storage/checkpoint_store.h"
#include "storage/tfrecord.h"
#include "trainer/resnet_shape.h"
#include "trainer/resume_check.h"
#include "trainer/weight_check.h"
#include "trainer/weight_source.h"

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

std::string without_path(std::string reason, const std::string& path) {
  if (reason.starts_with(path + ": ")) reason.erase(0, path.size() + 2);
  return reason;
}

// Of job: evaluate the head has to fit.
RunStart from_weights(const LoadedConfig& loaded, const RunPlan& plan) {
  RunStart start;
  start.init = settings_of(loaded.config, plan).init;
  std::string wrong;
  try {
    const trainer::WeightSource source(start.init);
    const trainer::WeightFit fit = fit_weights(source, trainer::weight_shapes(plan.model),
                                               /*head_optional=*/!plan.evaluate_only);
    start.head_fits = fit.head_fits;
    if (!fit.problem.empty()) {
      wrong = fmt::format("these are not weights of {}: {}", plan.model_name, fit.problem);
    }
  } catch (const storage::StorageError& error) {
    wrong = "it cannot be read: " + error.code().message();
  } catch (const storage::DataError& error) {
    wrong = "no weights can be read from it: " + without_path(error.what(), start.init);
  }
  if (!wrong.empty()) {
    const std::string given = loaded.config.model().init();
    const std::string what =
        given.empty() ? "is empty, and output, '" + start.init + "', has no weights to evaluate: "
                      : "is '" + start.init + "': ";
    throw ConfigError({mistake_about("model.init", what + wrong, loaded.origins)});
  }
  return start;
}

}  // namespace

RunStart find_start(const LoadedConfig& loaded, const RunPlan& plan,
                    const std::string& dataset_hash) {
  check_output(loaded);
  if (plan.evaluate_only) return from_weights(loaded, plan);
  RunStart start;
  start.checkpoint = newest_checkpoint(loaded, plan, dataset_hash);
  if (start.checkpoint || loaded.config.model().init().empty()) return start;
  return from_weights(loaded, plan);
}

}  // namespace bit::launcher
