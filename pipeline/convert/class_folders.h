// Images sorted into one folder a class: <root>/<class>/<image>. The classes are the names of the
// folders in byte order, the label of a class is its position.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/convert/input.h"
#include "storage/file.h"

namespace bit::pipeline {

// Hidden files and folders (".*"), what file managers leave (Thumbs.db, desktop.ini) and files
// beside the class folders are left out; symbolic links are followed. A class folder without images
// is a problem of the input; the class keeps its label. Memory: the length of its file name plus 8
// bytes an image.
class ClassFolders final : public Input {
 public:
  // Lists everything. `files` must outlive the input. Throws storage::StorageError;
  // storage::DataError when there are no class folders, no images, or a folder in a class folder.
  ClassFolders(storage::FileSystem& files, std::string root);

  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::uint64_t entries() const override { return name_ends_.size(); }
  InputEntry entry(std::uint64_t number) const override;
  std::vector<std::byte> read(const InputEntry& entry) const override;
  const std::vector<QuarantinedImage>& problems() const override { return problems_; }
  std::uint64_t total_bytes() const override;

 private:
  void add_class(const std::string& name);

  storage::FileSystem& files_;
  std::string root_;
  std::vector<std::string> class_names_;
  std::vector<std::uint64_t> class_ends_;  // one past the last entry of each class
  std::string names_;                      // file names of all entries, one after the other
  std::vector<std::uint64_t> name_ends_;   // where each ends in names_
  std::vector<QuarantinedImage> problems_;
};

}  // namespace bit::pipeline
