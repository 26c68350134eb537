#include "pipeline/convert/convert_options.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <stdexcept>

#include "pipeline/convert/jpeg_transcode.h"
#include "storage/dataset_manifest.h"
#include "storage/hash64.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

void check_component(const std::string& option, const std::string& value) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  };
  if (value.empty() || value.front() == '.' || !std::ranges::all_of(value, allowed)) {
    throw std::invalid_argument(
        option + " `" + value +
        "` becomes part of file names: letters, digits, `_`, `-` and `.`, not starting with `.`");
  }
}

void check_class_names(const schemas::DatasetManifest& manifest,
                       const std::vector<std::string>& names, const std::string& directory) {
  const std::size_t known = static_cast<std::size_t>(manifest.class_names_size());
  for (std::size_t i = 0; i < std::max(names.size(), known); ++i) {
    const std::string ours = i < names.size() ? "`" + names[i] + "`" : "missing";
    const std::string theirs =
        i < known ? "`" + manifest.class_names(static_cast<int>(i)) + "`" : "missing";
    if (ours != theirs) {
      throw storage::DataError(directory +
                               "/dataset.json: its classes are not those of the input: class " +
                               std::to_string(i) + " is " + theirs + " there and " + ours +
                               " in the input (all splits of a dataset share their classes)");
    }
  }
}

}  // namespace

std::string identity_of(const ConvertOptions& options) {
  storage::Hash64 hash;
  hash.add(options.input);
  hash.add(options.name);
  hash.add(options.split);
  hash.add(std::uint64_t{options.shards});
  hash.add(options.seed);
  hash.add(static_cast<std::uint64_t>(options.merge_duplicates));
  hash.add(static_cast<std::uint64_t>(options.image.jpeg));
  hash.add(std::uint64_t{options.image.restart_intervals ? kRestartInterval : 0});
  hash.add(static_cast<std::uint64_t>(options.image.apply_exif));
  hash.add(static_cast<std::uint64_t>(options.image.quality));
  hash.add(static_cast<std::uint64_t>(options.image.subsampling));
  hash.add(std::uint64_t{options.image.max_side});
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(hash.value()));
  return text;
}

schemas::DatasetManifest manifest_before(storage::FileSystem& files,
                                         const ConvertOptions& options) {
  if (!files.exists(options.output + "/dataset.json")) return {};
  auto manifest = storage::read_manifest(files, options.output);
  if (manifest.name() != options.name) {
    throw std::invalid_argument(options.output + " holds the dataset `" + manifest.name() +
                                "`, not `" + options.name + "`: give --name " + manifest.name() +
                                " or another --output");
  }
  const auto* split = storage::find_split(manifest, options.split);
  if (split != nullptr && !options.overwrite && split->conversion() != identity_of(options)) {
    throw std::invalid_argument("split `" + options.split + "` exists in " + options.output +
                                " already; --overwrite replaces it");
  }
  return manifest;
}

schemas::DatasetManifest dataset_before(storage::FileSystem& files, const ConvertOptions& options,
                                        const std::vector<std::string>& names) {
  auto manifest = manifest_before(files, options);
  const bool replaced = storage::find_split(manifest, options.split) != nullptr;
  if (manifest.splits_size() > (replaced ? 1 : 0)) {
    check_class_names(manifest, names, options.output);
    return manifest;
  }
  manifest.set_name(options.name);
  manifest.mutable_class_names()->Assign(names.begin(), names.end());
  return manifest;
}

void check_options(storage::FileSystem& files, const ConvertOptions& options) {
  check_component("--name", options.name);
  check_component("--split", options.split);
  if (options.shards > kMaxShards) {
    throw std::invalid_argument("--shards " + std::to_string(options.shards) + ": at most " +
                                std::to_string(kMaxShards));
  }
  manifest_before(files, options);
}

}  // namespace bit::pipeline
