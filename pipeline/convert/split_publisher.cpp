#include "pipeline/convert/split_publisher.h"

#include <exception>
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

}  // namespace

SplitPublisher::SplitPublisher(storage::FileSystem& files, std::string directory, std::string name,
                               std::string split)
    : files_(files),
      directory_(std::move(directory)),
      name_(std::move(name)),
      split_(std::move(split)),
      staging_(directory_ + "/." + name_ + "-" + split_ + ".partial") {
  if (files_.exists(staging_)) files_.remove_tree(staging_);
  files_.make_directories(staging_);
}

SplitPublisher::~SplitPublisher() {
  try {
    files_.remove_tree(staging_);
  } catch (const std::exception&) {  // the error that came before is the one to report
  }
}

void SplitPublisher::publish(schemas::DatasetManifest manifest,
                             const schemas::DatasetManifest::Split& split) {
  if (storage::find_split(manifest, split_) != nullptr) {
    auto without = manifest;
    remove_split(without, split_);
    storage::write_manifest(files_, directory_, without);
  }
  remove_former_files();
  for (const auto& entry : files_.list(staging_)) {
    files_.rename(staging_ + "/" + entry.name, directory_ + "/" + entry.name);
  }
  files_.sync_directory(directory_);
  storage::replace_split(manifest, split);
  write_tfds_files(files_, directory_, manifest);
  storage::write_manifest(files_, directory_, manifest);
}

void SplitPublisher::remove_former_files() {
  const std::string shards = name_ + "-" + split_ + ".tfrecord-";
  const std::string index = storage::index_file_name(name_, split_);
  for (const auto& entry : files_.list(directory_)) {
    if (!entry.is_directory && (entry.name.starts_with(shards) || entry.name == index)) {
      files_.remove(directory_ + "/" + entry.name);
    }
  }
}

}  // namespace bit::pipeline
