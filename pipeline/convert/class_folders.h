// Images sorted into one folder a class: <root>/<class>/<image>. The classes are the names of the
// folders in byte order, the label of a class is its position, unless a list of classes is given.
#pragma once

#include <string>

#include "pipeline/convert/input.h"
#include "storage/file.h"

namespace bit::pipeline {

// Hidden files and folders (".*"), what file managers leave (Thumbs.db, desktop.ini) and what
// is no image by its name beside the class folders are left out; symbolic links are followed. A
// class folder without images is a problem of the input, and so is an image beside them; the class
// keeps its label. Memory: the file names of one class.
class ClassFolders final : public Input {
 public:
  // `files` must outlive the input.
  ClassFolders(storage::FileSystem& files, std::string root);
  std::string kind() const override { return "class folders"; }
  // storage::DataError when there are no class folders, no images, or a folder in a class folder.
  void list(ListingWriter& listing) override;

 private:
  void list_class(const std::string& name, ListingWriter& listing) const;

  storage::FileSystem& files_;
  std::string root_;
};

// Files that are never meant as images.
bool is_litter(std::string_view file_name);

}  // namespace bit::pipeline
