// The JSON is that of protobuf's mapping for TFDS's dataset_info.proto and feature.proto: 64-bit
// numbers are strings. A FeaturesDict in a FeaturesDict has its features under "outer/inner" in the
// records.
#include "pipeline/convert/tfds_files.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

namespace bit::pipeline {
namespace {

using nlohmann::ordered_json;

// Marks dataset_info.json as ours.
constexpr const char* kDescription = "TFRecord shards written by bit-shard.";
// TFDS looks for the names of a ClassLabel at <path of the feature>.labels.txt.
constexpr const char* kNamesFile = "/image-class-label.labels.txt";

ordered_json feature(const std::string& python_class, const std::string& kind,
                     ordered_json content) {
  return {{"pythonClassName", "tensorflow_datasets.core.features." + python_class},
          {kind, std::move(content)}};
}

ordered_json dictionary(ordered_json features) {
  return feature("features_dict.FeaturesDict", "featuresDict", {{"features", std::move(features)}});
}

ordered_json text() { return feature("text_feature.Text", "text", ordered_json::object()); }

ordered_json integer() {
  return feature("scalar.Scalar", "tensor",
                 {{"dtype", "int64"}, {"encoding", "none"}, {"shape", ordered_json::object()}});
}

ordered_json label(const schemas::DatasetManifest& manifest) {
  ordered_json one = integer();
  if (manifest.class_names_size() > 0) {
    one = feature("class_label_feature.ClassLabel", "classLabel",
                  {{"numClasses", std::to_string(manifest.class_names_size() + 1)}});
  }
  const bool several = std::ranges::any_of(
      manifest.splits(), [](const auto& split) { return split.max_labels() != 1; });
  if (!several) return one;
  return feature("sequence_feature.Sequence", "sequence",
                 {{"feature", std::move(one)}, {"length", "-1"}});
}

ordered_json features(const schemas::DatasetManifest& manifest) {
  const ordered_json encoded = feature("image_feature.Image", "image",
                                       {{"dtype", "uint8"},
                                        {"encodingFormat", "jpeg"},
                                        {"shape", {{"dimensions", {"-1", "-1", "3"}}}}});
  return dictionary(
      {{"image", dictionary({{"channels", integer()},
                             {"class", dictionary({{"label", label(manifest)}, {"text", text()}})},
                             {"colorspace", text()},
                             {"encoded", encoded},
                             {"filename", text()},
                             {"format", text()},
                             {"height", integer()},
                             {"width", integer()}})}});
}

// `text` where a str.format template stands for it.
std::string in_template(std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped += c == '{' || c == '}' ? std::string(2, c) : std::string(1, c);
  return escaped;
}

// How TFDS makes the names of a split's shards; nothing when it cannot.
std::optional<std::string> file_template(const schemas::DatasetManifest& manifest,
                                         const schemas::DatasetManifest::Split& split) {
  const auto count = static_cast<std::uint32_t>(split.shards_size());
  const std::string_view first = count == 0 ? "" : std::string_view(split.shards(0).file());
  const auto numbers = [&](std::uint32_t shard) {
    char text[32];
    std::snprintf(text, sizeof(text), "-%05u-of-%05u", shard, count);
    return std::string(text);
  };
  if (!first.ends_with(numbers(0))) return std::nullopt;
  const std::string prefix(first.substr(0, first.size() - numbers(0).size()));
  for (std::uint32_t shard = 0; shard < count; ++shard) {
    if (split.shards(static_cast<int>(shard)).file() != prefix + numbers(shard))
      return std::nullopt;
  }
  if (prefix == manifest.name() + "-" + split.name() + ".tfrecord") {
    return "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}";  // TFDS's own
  }
  return in_template(prefix) + "-{SHARD_X_OF_Y}";
}

// Nothing when a split has shards that TFDS cannot name.
std::optional<ordered_json> dataset_info(const schemas::DatasetManifest& manifest) {
  ordered_json splits = ordered_json::array();
  for (const auto& split : manifest.splits()) {
    const auto name = file_template(manifest, split);
    if (!name) return std::nullopt;
    ordered_json lengths = ordered_json::array();
    std::uint64_t bytes = 0;
    for (const auto& shard : split.shards()) {
      lengths.push_back(std::to_string(shard.records()));
      bytes += shard.bytes();
    }
    splits.push_back({{"filepathTemplate", *name},
                      {"name", split.name()},
                      {"numBytes", std::to_string(bytes)},
                      {"shardLengths", std::move(lengths)}});
  }
  return ordered_json{{"description", kDescription},
                      {"fileFormat", "tfrecord"},
                      {"name", manifest.name()},
                      {"splits", std::move(splits)},
                      {"version", "1.0.0"}};
}

// One a line, as TFDS reads them: without space around, none empty, none twice. Empty when the
// names cannot be written so.
std::string class_names(const schemas::DatasetManifest& manifest) {
  const auto& names = manifest.class_names();
  std::set<std::string_view> seen(names.begin(), names.end());
  const bool spelled = std::ranges::all_of(names, [](const std::string& name) {
    const auto space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
    return !name.empty() && !space(name.front()) && !space(name.back()) &&
           name.find_first_of("\r\n") == std::string::npos;
  });
  if (!spelled || names.empty() || seen.size() != static_cast<std::size_t>(names.size())) return "";
  std::string lines = "background";
  while (seen.contains(lines)) lines.insert(0, "no ");  // a class has this name
  for (const std::string& name : names) lines += "\n" + name;
  return lines + "\n";
}

bool somebody_elses(storage::FileSystem& files, const std::string& path) {
  if (!files.exists(path)) return false;
  const auto info = ordered_json::parse(storage::read_file(files, path), nullptr, false);
  return !info.is_object() || !info.contains("description") || info["description"] != kDescription;
}

void remove_if_there(storage::FileSystem& files, const std::string& path) {
  if (files.exists(path)) files.remove(path);
}

}  // namespace

void write_tfds_files(storage::FileSystem& files, const std::string& directory,
                      const schemas::DatasetManifest& manifest) {
  const std::string info_path = directory + "/dataset_info.json";
  const std::string features_path = directory + "/features.json";
  if (somebody_elses(files, info_path)) return;
  const auto info = dataset_info(manifest);
  const std::string names = class_names(manifest);
  if (names.empty() || !info) {
    remove_if_there(files, directory + kNamesFile);
  } else {
    storage::write_file_atomically(files, directory + kNamesFile, names);
  }
  if (!info) {
    remove_if_there(files, info_path);
    return remove_if_there(files, features_path);
  }
  constexpr int kIndent = 2;
  storage::write_file_atomically(files, features_path, features(manifest).dump(kIndent) + "\n");
  storage::write_file_atomically(files, info_path, info->dump(kIndent) + "\n");
}

}  // namespace bit::pipeline
