#include "pipeline/convert/split_publisher.h"

#include <utility>

#include "pipeline/convert/tfds_files.h"
#include "storage/dataset_manifest.h"

namespace bit::pipeline {
namespace {

void remove_split(schemas::DatasetManifest& manifest, const std::string& split) {
  for (int i = manifest.splits_size() - 1; i >= 0; --i) {
    if (manifest.splits(i).name() == split) manifest.mutable_splits()->DeleteSubrange(i, 1);
  }
}

std::string marker(const std::string& staging) { return staging + "/publishing"; }

void remove_former_files(storage::FileSystem& files, const std::string& directory,
                         const std::string& name, const std::string& split) {
  const std::string shards = name + "-" + split + ".tfrecord-";
  const std::string index = storage::index_file_name(name, split);
  for (const auto& entry : files.list(directory)) {
    if (!entry.is_directory && (entry.name.starts_with(shards) || entry.name == index)) {
      files.remove(directory + "/" + entry.name);
    }
  }
}

}  // namespace

std::string staging_folder(const std::string& directory, const std::string& name,
                           const std::string& split) {
  return directory + "/." + name + "-" + split + ".partial";
}

std::string plan_path(const std::string& staging) { return staging + "/plan"; }

void remove_staging(storage::FileSystem& files, const std::string& staging) {
  if (files.exists(plan_path(staging))) files.remove(plan_path(staging));
  if (files.exists(staging)) files.remove_tree(staging);
}

bool is_publishing(storage::FileSystem& files, const std::string& staging) {
  return files.exists(marker(staging));
}

void publish_split(storage::FileSystem& files, const std::string& directory,
                   schemas::DatasetManifest manifest, const schemas::DatasetManifest::Split& split,
                   std::span<const std::string> file_names) {
  const std::string staging = staging_folder(directory, manifest.name(), split.name());
  if (!is_publishing(files, staging)) {
    if (storage::find_split(manifest, split.name()) != nullptr) {
      auto without = manifest;
      remove_split(without, split.name());
      storage::write_manifest(files, directory, without);
    }
    remove_former_files(files, directory, manifest.name(), split.name());
    storage::write_file_atomically(files, marker(staging), "");
  }
  for (const std::string& name : file_names) {
    if (files.exists(staging + "/" + name)) {
      files.rename(staging + "/" + name, directory + "/" + name);
    }
  }
  files.sync_directory(directory);
  storage::replace_split(manifest, split);
  write_tfds_files(files, directory, manifest);
  storage::write_manifest(files, directory, manifest);
  remove_staging(files, staging);
}

}  // namespace bit::pipeline
