#include "launcher/find_split.h"

#include <filesystem>
#include <vector>

#include "launcher/words.h"
#include "storage/dataset_manifest.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

std::string why_no_dataset(const std::string& directory) {
  std::error_code error;
  const auto status = std::filesystem::status(directory, error);
  if (!std::filesystem::exists(status)) {
    return "there is no such directory; `bit-shard convert` makes one of shards";
  }
  if (!std::filesystem::is_directory(status)) return "this is not a directory";
  return "there is no dataset.json in it; `bit-shard index " + directory +
         "` writes it for a directory of TFRecord files";
}

}  // namespace

schemas::DatasetManifest find_dataset(const std::string& directory) {
  auto& files = storage::posix_file_system();
  if (!files.exists(directory + "/dataset.json")) {
    const std::string reason = why_no_dataset(directory);
    throw SplitNotFound(SplitNotFound::Part::kDirectory, directory + ": " + reason, reason);
  }
  return storage::read_manifest(files, directory);
}

const schemas::DatasetManifest::Split& known_split(const std::string& directory,
                                                   const schemas::DatasetManifest& manifest,
                                                   const std::string& split) {
  const auto* entry = storage::find_split(manifest, split);
  if (entry == nullptr) {
    std::vector<std::string> names;
    for (const auto& known : manifest.splits()) names.push_back(known.name());
    const std::string hint = known_names(split, names);
    throw SplitNotFound(SplitNotFound::Part::kSplit,
                        directory + ": no split '" + split + "'; " + hint,
                        "no such split in " + directory + "; " + hint);
  }
  return *entry;
}

const schemas::DatasetManifest::Split& find_split(const std::string& directory,
                                                  const schemas::DatasetManifest& manifest,
                                                  const std::string& split) {
  const auto& entry = known_split(directory, manifest, split);
  const std::string index = directory + "/" + storage::index_file_name(manifest.name(), split);
  if (!storage::posix_file_system().exists(index)) {
    throw storage::DataError(index + ": missing; `bit-shard index " + directory + "` writes it");
  }
  return entry;
}

storage::Dataset open_split(const std::string& directory, const std::string& split) {
  find_split(directory, find_dataset(directory), split);
  return storage::Dataset::open(directory, split);
}

}  // namespace bit::launcher
