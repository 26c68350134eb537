#include "launcher/model_files.h"

#include <fmt/core.h>
#include <google/protobuf/text_format.h>

#include <charconv>
#include <filesystem>
#include <map>
#include <optional>

#include "schemas/config.pb.h"
#include "storage/safetensors.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

constexpr std::string_view kStepPrefix = "step-";
constexpr std::string_view kModelPrefix = "model/";

std::optional<std::uint64_t> step_of(const std::string& name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  std::uint64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + kStepPrefix.size(), end, step);
  if (error != std::errc() || rest != end) return std::nullopt;
  return step;
}

bool holds_checkpoints(const std::string& directory) {
  for (const auto& entry : storage::posix_file_system().list(directory)) {
    if (entry.is_directory && step_of(entry.name)) return true;
  }
  return false;
}

// Name of the architecture, from the configuration that the checkpoint carries.
std::string model_name(const schemas::CheckpointManifest& manifest) {
  schemas::RunConfig config;
  if (!google::protobuf::TextFormat::ParseFromString(manifest.config(), &config)) return "";
  return config.model().name();
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
  if (const auto step = step_of(directory.filename())) {
    const fs::path parent = directory.parent_path();
    return {ModelPathKind::kCheckpoint, parent.empty() ? "." : parent.string(), *step};
  }
  const fs::path checkpoints = directory / "checkpoints";
  if (fs::is_directory(checkpoints)) return {ModelPathKind::kRun, checkpoints, 0};
  if (holds_checkpoints(directory)) return {ModelPathKind::kRun, directory, 0};
  throw storage::DataError(
      path + ": neither a run (no checkpoints/ in it) nor a checkpoint (not named step-<n>)");
}

schemas::CheckpointManifest checked_manifest(const storage::CheckpointStore& store,
                                             std::uint64_t step) {
  storage::CheckpointStore::Problem problem;
  auto manifest = store.validate(step, &problem);
  if (!manifest) throw NoUsableCheckpoint(store.path(step) + ": " + problem.reason);
  return std::move(*manifest);
}

std::size_t export_weights(const storage::CheckpointStore& store,
                           const schemas::CheckpointManifest& manifest, const std::string& output) {
  const storage::CheckpointReader reader(store.path(manifest.step()), manifest);
  std::vector<storage::TensorView> weights;
  for (const auto& [name, tensor] : reader.tensors()) {
    if (!name.starts_with(kModelPrefix)) continue;
    weights.push_back(tensor);
    weights.back().name = name.substr(kModelPrefix.size());
  }
  if (weights.empty())
    throw storage::DataError(store.path(manifest.step()) + ": no tensors under \"model/\"");
  auto& files = storage::posix_file_system();
  const std::string temporary = output + ".tmp";
  std::map<std::string, std::string> metadata = {{"format", "pt"},
                                                 {"step", std::to_string(manifest.step())}};
  if (const std::string name = model_name(manifest); !name.empty()) metadata["model"] = name;
  storage::write_safetensors(files, temporary, weights, metadata);
  files.rename(temporary, output);
  const std::string parent = std::filesystem::path(output).parent_path();
  files.sync_directory(parent.empty() ? "." : parent);
  return weights.size();
}

}  // namespace bit::launcher
