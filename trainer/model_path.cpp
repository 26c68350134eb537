#include "trainer/model_path.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "storage/tfrecord.h"

namespace bit::trainer {
namespace {

std::vector<std::uint64_t> steps_in(const std::string& directory) {
  return storage::CheckpointStore(storage::posix_file_system(), directory).steps();
}

// The step when `directory` is a checkpoint of its parent.
std::optional<std::uint64_t> step_of(const std::filesystem::path& directory) {
  const storage::CheckpointStore store(storage::posix_file_system(),
                                       directory.has_parent_path() ? directory.parent_path() : ".");
  for (const std::uint64_t step : store.steps()) {
    if (std::filesystem::path(store.path(step)).filename() == directory.filename()) return step;
  }
  return std::nullopt;
}

std::string text_of(const std::vector<std::uint64_t>& steps) {
  return steps.empty() ? "none" : fmt::format("{}", fmt::join(steps, ", "));
}

}  // namespace

ModelPath find_model(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    throw storage::StorageError(std::make_error_code(std::errc::no_such_file_or_directory), "open",
                                path);
  }
  if (!fs::is_directory(status)) return {ModelPathKind::kWeights, path, 0};
  fs::path directory = fs::path(path).lexically_normal();
  if (!directory.has_filename()) directory = directory.parent_path();  // "run/" is "run"
  if (const auto step = step_of(directory)) {
    const fs::path parent = directory.parent_path();
    return {ModelPathKind::kCheckpoint, parent.empty() ? "." : parent.string(), *step};
  }
  const fs::path checkpoints = directory / "checkpoints";
  if (fs::is_directory(checkpoints)) return {ModelPathKind::kRun, checkpoints, 0};
  if (!steps_in(directory).empty()) return {ModelPathKind::kRun, directory, 0};
  throw storage::DataError(
      path + ": neither a run (no checkpoints/ in it) nor a checkpoint (not named step-<n>)");
}

std::string reason_within(const storage::CheckpointStore& store,
                          const storage::CheckpointStore::Problem& problem) {
  std::string reason = problem.reason;
  const std::string prefix = store.path(problem.step) + "/";
  for (std::size_t at = 0; (at = reason.find(prefix, at)) != std::string::npos;) {
    reason.erase(at, prefix.size());
  }
  return reason;
}

schemas::CheckpointManifest checked_manifest(const storage::CheckpointStore& store,
                                             std::uint64_t step) {
  storage::CheckpointStore::Problem problem;
  auto manifest = store.validate(step, &problem);
  if (!manifest) throw NoUsableCheckpoint(store.path(step) + ": " + reason_within(store, problem));
  return std::move(*manifest);
}

schemas::CheckpointManifest chosen_manifest(const storage::CheckpointStore& store,
                                            std::optional<std::uint64_t> step) {
  auto steps = store.steps();
  if (steps.empty()) throw NoUsableCheckpoint(store.directory() + ": no checkpoint");
  const std::uint64_t wanted = step.value_or(steps.back());
  if (std::ranges::find(steps, wanted) == steps.end()) {
    throw NoUsableCheckpoint(fmt::format("{}: no checkpoint of step {}; there are {}",
                                         store.directory(), wanted, text_of(steps)));
  }
  try {
    return checked_manifest(store, wanted);
  } catch (const NoUsableCheckpoint& error) {
    std::erase(steps, wanted);
    throw NoUsableCheckpoint(fmt::format("{} (other steps: {})", error.what(), text_of(steps)));
  }
}

}  // namespace bit::trainer
