// dataset.json through protobuf's JSON mapping, with the field names of schemas/dataset.proto.
#include "storage/dataset_manifest.h"

#include <google/protobuf/util/json_util.h>

#include <cstdio>
#include <utility>

#include "storage/hash64.h"
#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

std::string manifest_path(const std::string& directory) { return directory + "/dataset.json"; }

}  // namespace

schemas::DatasetManifest read_manifest(FileSystem& files, const std::string& directory) {
  const std::string path = manifest_path(directory);
  if (!files.exists(path)) {
    files.list(directory);  // a directory that is not there is said to be so
    throw DataError(directory + ": no dataset.json; `bit-shard index " + directory +
                    "` writes it for a directory of TFRecord files");
  }
  schemas::DatasetManifest manifest;
  const auto status =
      google::protobuf::util::JsonStringToMessage(read_file(files, path), &manifest);
  if (!status.ok()) throw DataError(path + ": " + status.message().ToString());
  return manifest;
}

void write_manifest(FileSystem& files, const std::string& directory,
                    const schemas::DatasetManifest& manifest) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(manifest, &json, options);
  if (!status.ok()) throw DataError(manifest_path(directory) + ": " + status.message().ToString());
  write_file_atomically(files, manifest_path(directory), json);
}

const schemas::DatasetManifest::Split* find_split(const schemas::DatasetManifest& manifest,
                                                  std::string_view split) {
  for (const auto& entry : manifest.splits()) {
    if (entry.name() == split) return &entry;
  }
  return nullptr;
}

void replace_split(schemas::DatasetManifest& manifest, schemas::DatasetManifest::Split split) {
  for (auto& entry : *manifest.mutable_splits()) {
    if (entry.name() == split.name()) {
      entry = std::move(split);
      return;
    }
  }
  *manifest.add_splits() = std::move(split);
}

bool is_index_of(const RecordIndex& index, const schemas::DatasetManifest::Split& split) {
  return !split.has_index_hash() || split.index_hash() == hash_digits(index.content_hash());
}

std::string shard_file_name(std::string_view name, std::string_view split, std::uint32_t shard,
                            std::uint32_t shards) {
  char numbers[32];
  std::snprintf(numbers, sizeof(numbers), "-%05u-of-%05u", shard, shards);
  return std::string(name) + "-" + std::string(split) + ".tfrecord" + numbers;
}

std::string index_file_name(std::string_view name, std::string_view split) {
  return std::string(name) + "-" + std::string(split) + ".index";
}

std::string sidecar_file_name(std::string_view shard) { return std::string(shard) + ".idx"; }

}  // namespace bit::storage
