// Formats: tensorflow_datasets/core/proto/dataset_info.proto as JSON, core/naming.py
// (ShardedFileTemplate), core/features/class_label_feature.py (labels files).
#include "pipeline/convert/tfds_directory.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "storage/dataset_manifest.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxShards = 1'000'000;
constexpr std::size_t kMaxInfoBytes = std::size_t{256} << 20;

std::string info_path(const std::string& directory) { return directory + "/dataset_info.json"; }

std::string joined(std::span<const std::string> names) {
  constexpr std::size_t kShown = 20;
  std::string text;
  for (const std::string& name : names.first(std::min(names.size(), kShown))) {
    text += (text.empty() ? "" : ", ") + name;
  }
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

storage::DataError no_split(const std::string& where, const std::string& split,
                            std::span<const std::string> there) {
  return storage::DataError(where + ": no split `" + split + "`" +
                            (there.empty() ? std::string() : ", but " + joined(there)));
}

// `names` of files that have to be in `directory`, as paths.
std::vector<std::string> all_of(storage::FileSystem& files, const std::string& directory,
                                const std::vector<std::string>& names) {
  std::vector<std::string> paths, missing;
  for (const std::string& name : names) {
    paths.push_back(directory + "/" + name);
    if (!files.exists(paths.back())) missing.push_back(name);
  }
  if (!missing.empty()) {
    throw storage::DataError(directory + ": " + std::to_string(missing.size()) + " of " +
                             std::to_string(names.size()) +
                             " shards are missing: " + joined(missing));
  }
  return paths;
}

TfrecordSplit find_own_split(storage::FileSystem& files, const std::string& directory,
                             const std::string& split) {
  const auto manifest = storage::read_manifest(files, directory);
  const auto* entry = storage::find_split(manifest, split);
  if (entry == nullptr) {
    std::vector<std::string> there;
    for (const auto& other : manifest.splits()) there.push_back(other.name());
    throw no_split(directory + "/dataset.json", split, there);
  }
  std::vector<std::string> names;
  for (const auto& shard : entry->shards()) names.push_back(shard.file());
  return {all_of(files, directory, names),
          {{manifest.class_names().begin(), manifest.class_names().end()},
           directory + "/dataset.json"}};
}

// Text under `key`; empty when there is none.
std::string text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

json parse_info(storage::FileSystem& files, const std::string& directory) {
  const std::string path = info_path(directory);
  if (files.file_size(path) > kMaxInfoBytes) {
    throw storage::DataError(path + ": larger than 256 MiB");
  }
  json info = json::parse(storage::read_file(files, path), nullptr, false);
  if (!info.is_object()) throw storage::DataError(path + ": not a JSON object");
  return info;
}

json split_of_info(const json& info, const std::string& path, const std::string& split) {
  std::vector<std::string> there;
  const auto splits = info.find("splits");
  if (splits != info.end() && splits->is_array()) {
    for (const json& entry : *splits) {
      if (!entry.is_object()) continue;
      if (text_at(entry, "name") == split) return entry;
      there.push_back(text_at(entry, "name"));
    }
  }
  throw no_split(path, split, there);
}

// shardLengths has an entry a shard; old versions wrote numShards, as text or number.
std::size_t shards_of(const json& split) {
  if (const auto lengths = split.find("shardLengths");
      lengths != split.end() && lengths->is_array()) {
    return lengths->size();
  }
  const auto number = split.find("numShards");
  if (number == split.end()) return 0;
  if (number->is_number_unsigned()) return number->get<std::size_t>();
  const std::string text = number->is_string() ? number->get<std::string>() : std::string();
  const bool digits =
      !text.empty() && text.size() < 8 && text.find_first_not_of("0123456789") == std::string::npos;
  return digits ? std::stoul(text) : 0;
}

std::string five_digits(std::size_t number, std::size_t shards) {
  const std::string text = std::to_string(number);
  const std::size_t width = std::max<std::size_t>(5, std::to_string(shards).size());
  return std::string(width - std::min(width, text.size()), '0') + text;
}

// The variables of a template and what they stand for.
using Variables = std::vector<std::pair<std::string, std::string>>;

// Throws storage::DataError with the reason alone.
std::string fill_in(std::string_view pattern, const Variables& variables) {
  std::string text;
  while (!pattern.empty()) {
    const std::size_t open = std::min(pattern.find('{'), pattern.size());
    text += pattern.substr(0, open);
    pattern.remove_prefix(open);
    if (pattern.empty()) break;
    const std::size_t close = pattern.find('}');
    const std::string_view name = pattern.substr(1, close == pattern.npos ? close : close - 1);
    const auto known = std::ranges::find(variables, name, &Variables::value_type::first);
    if (close == pattern.npos || known == variables.end()) {
      throw storage::DataError("file names with `" + std::string(pattern.substr(0, 100)) +
                               "`, which is not known");
    }
    text += known->second;
    pattern.remove_prefix(close + 1);
  }
  if (text.empty() || text.front() == '/' || text.find("..") != std::string::npos) {
    throw storage::DataError("file names outside the directory: " + text.substr(0, 100));
  }
  return text;
}

std::vector<std::string> shard_names(const json& info, const json& split) {
  const std::size_t shards = shards_of(split);
  if (shards == 0) throw storage::DataError("it has no shards");
  if (shards > kMaxShards) throw storage::DataError("more than a million shards");
  std::string pattern = text_at(split, "filepathTemplate");
  if (pattern.empty()) pattern = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}";
  std::vector<std::string> names;
  for (std::size_t i = 0; i < shards; ++i) {
    const std::string number = five_digits(i, shards);
    const std::string count = five_digits(shards, shards);
    names.push_back(fill_in(pattern, {{"DATASET", text_at(info, "name")},
                                      {"SPLIT", text_at(split, "name")},
                                      {"FILEFORMAT", "tfrecord"},
                                      {"SHARD_INDEX", number},
                                      {"NUM_SHARDS", count},
                                      {"SHARD_X_OF_Y", number + "-of-" + count}}));
  }
  return names;
}

// Of the feature that storage/example.h reads labels from; else the only one there is. A slash in
// the name of a feature is a dash in the name of its file.
ClassList class_names(storage::FileSystem& files, const std::string& directory) {
  std::vector<std::string> found;
  for (const auto& entry : files.list(directory)) {
    if (!entry.is_directory && entry.name.ends_with(".labels.txt")) found.push_back(entry.name);
  }
  for (const char* usual : {"label.labels.txt", "image-class-label.labels.txt"}) {
    if (std::ranges::find(found, usual) != found.end()) found = {usual};
  }
  if (found.size() != 1) return {};
  return read_class_list(files, directory + "/" + found.front());
}

TfrecordSplit find_tfds_split(storage::FileSystem& files, const std::string& directory,
                              const std::string& split) {
  const std::string path = info_path(directory);
  const json info = parse_info(files, directory);
  const std::string format = text_at(info, "fileFormat");
  if (!format.empty() && format != "tfrecord") {
    throw storage::DataError(path + ": the files are " + format.substr(0, 100) +
                             ", and only tfrecord is read");
  }
  const json entry = split_of_info(info, path, split);
  std::vector<std::string> names;
  try {
    names = shard_names(info, entry);
  } catch (const storage::DataError& error) {
    throw storage::DataError(path + ": split `" + split + "`: " + error.what());
  }
  return {all_of(files, directory, names), class_names(files, directory)};
}

}  // namespace

bool describes_tfrecords(storage::FileSystem& files, const std::string& directory) {
  return files.exists(directory + "/dataset.json") || files.exists(info_path(directory));
}

TfrecordSplit find_tfrecord_split(storage::FileSystem& files, const std::string& directory,
                                  const std::string& split) {
  if (files.exists(directory + "/dataset.json")) return find_own_split(files, directory, split);
  if (files.exists(info_path(directory))) return find_tfds_split(files, directory, split);
  for (const auto& entry : files.list(directory)) {
    const std::string below = directory + "/" + entry.name;
    if (entry.is_directory && describes_tfrecords(files, below)) {
      throw storage::DataError(directory + ": no dataset_info.json; is " + below +
                               " the input you mean?");
    }
  }
  throw storage::DataError(directory + ": neither dataset.json nor dataset_info.json is in it");
}

}  // namespace bit::pipeline
