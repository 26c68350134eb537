#include "launcher/plan_data.h"

#include "launcher/find_split.h"

namespace bit::launcher {
namespace {

ConfigMistake not_found(const LoadedConfig& loaded, const std::string& key,
                        const std::string& value, const SplitNotFound& error) {
  return mistake_about(key, "is '" + value + "': " + error.reason(), loaded.origins);
}

}  // namespace

RunData open_run_data(const LoadedConfig& loaded) {
  const std::string& path = loaded.config.data().path();
  schemas::DatasetManifest manifest;
  try {
    manifest = find_dataset(path);
  } catch (const SplitNotFound& error) {
    throw ConfigError({not_found(loaded, "data.path", path, error)});
  }
  std::vector<ConfigMistake> mistakes;
  const auto look_for = [&](const std::string& key, const std::string& split) {
    try {
      find_split(path, manifest, split);
    } catch (const SplitNotFound& error) {
      mistakes.push_back(not_found(loaded, key, split, error));
    }
  };
  const std::string& training = loaded.config.data().split();
  const std::string& evaluation = loaded.config.evaluate().split();
  const bool evaluate_only = loaded.config.job() == "evaluate";
  if (!evaluate_only) look_for("data.split", training);
  if (!evaluation.empty()) look_for("evaluate.split", evaluation);
  if (!mistakes.empty()) throw ConfigError(std::move(mistakes));
  if (evaluate_only) return {storage::Dataset::open(path, evaluation), std::nullopt};
  RunData data{storage::Dataset::open(path, training), std::nullopt};
  if (!evaluation.empty()) data.evaluation = storage::Dataset::open(path, evaluation);
  return data;
}

}  // namespace bit::launcher
