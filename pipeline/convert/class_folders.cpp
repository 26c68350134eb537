#include "pipeline/convert/class_folders.h"

#include <algorithm>
#include <utility>

#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

bool is_litter(const std::string& file) {
  return file.front() == '.' || file == "Thumbs.db" || file == "desktop.ini";
}

}  // namespace

ClassFolders::ClassFolders(storage::FileSystem& files, std::string root)
    : files_(files), root_(std::move(root)) {
  while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
  for (const auto& entry : files_.list(root_)) {
    if (entry.is_directory && entry.name.front() != '.') add_class(entry.name);
  }
  if (class_names_.empty()) {
    throw storage::DataError(root_ + ": no class folders (images are expected as " + root_ +
                             "/<class>/<image>.jpg)");
  }
  if (entries() == 0) throw storage::DataError(root_ + ": no images in its class folders");
}

void ClassFolders::add_class(const std::string& name) {
  const std::string folder = root_ + "/" + name;
  const std::uint64_t before = entries();
  for (const auto& file : files_.list(folder)) {
    if (is_litter(file.name)) continue;
    if (file.is_directory) {
      throw storage::DataError(folder +
                               ": a class folder holds images only, but there is a folder `" +
                               file.name + "` (is " + folder + " the input you mean?)");
    }
    names_ += file.name;
    name_ends_.push_back(names_.size());
  }
  if (entries() == before) problems_.push_back({folder, "a class folder without images"});
  class_names_.push_back(name);
  class_ends_.push_back(entries());
}

InputEntry ClassFolders::entry(std::uint64_t number) const {
  const auto label = std::ranges::upper_bound(class_ends_, number) - class_ends_.begin();
  const std::uint64_t begin = number == 0 ? 0 : name_ends_[number - 1];
  InputEntry entry;
  entry.key = class_names_[static_cast<std::size_t>(label)] + "/" +
              names_.substr(begin, name_ends_[number] - begin);
  entry.path = root_ + "/" + entry.key;
  entry.labels = {static_cast<std::int32_t>(label)};
  return entry;
}

std::vector<std::byte> ClassFolders::read(const InputEntry& entry) const {
  const auto file = files_.open(entry.path);
  std::vector<std::byte> bytes(file->size());
  bytes.resize(file->read_at(0, bytes));
  return bytes;
}

std::uint64_t ClassFolders::total_bytes() const {
  std::uint64_t total = 0;
  for (std::uint64_t i = 0; i < entries(); ++i) {
    try {
      total += files_.file_size(entry(i).path);
    } catch (const storage::StorageError&) {  // told when it is read
    }
  }
  return total;
}

}  // namespace bit::pipeline
