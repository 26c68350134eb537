#include "pipeline/convert/class_folders.h"

#include <utility>
#include <vector>

#include "pipeline/convert/member_names.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {

bool is_litter(std::string_view file_name) {
  return file_name.starts_with('.') || file_name == "Thumbs.db" || file_name == "desktop.ini";
}

ClassFolders::ClassFolders(storage::FileSystem& files, std::string root)
    : files_(files), root_(std::move(root)) {
  while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
}

void ClassFolders::list(ListingWriter& listing) {
  listing.add_container(root_);  // a class that comes or goes changes it
  bool classes = false;
  for (const auto& entry : files_.list(root_)) {
    if (entry.name.front() == '.') continue;
    if (!entry.is_directory) {
      if (is_image_name(entry.name)) {
        listing.add_problem(root_ + "/" + entry.name, "an image beside the class folders");
      }
      continue;
    }
    list_class(entry.name, listing);
    classes = true;
  }
  if (!classes) {
    throw storage::DataError(root_ + ": no class folders (images are expected as " + root_ +
                             "/<class>/<image>.jpg)");
  }
  if (listing.images() == 0) throw storage::DataError(root_ + ": no images in its class folders");
}

void ClassFolders::list_class(const std::string& name, ListingWriter& listing) const {
  const std::string folder = root_ + "/" + name;
  ListedImage image;
  try {
    image.labels = {listing.labels().label_of_name(name)};
  } catch (const storage::DataError& error) {
    throw storage::DataError(folder + ": " + error.what());
  }
  image.container = listing.add_container(folder);
  bool images = false;
  for (const auto& file : files_.list(folder)) {
    if (is_litter(file.name)) continue;
    if (file.is_directory) {
      throw storage::DataError(folder +
                               ": a class folder holds images only, but there is a folder `" +
                               file.name + "` (is " + folder + " the input you mean?)");
    }
    image.key = name + "/" + file.name;
    image.name = file.name;
    listing.add(image);
    images = true;
  }
  if (!images) listing.add_problem(folder, "a class folder without images");
}

}  // namespace bit::pipeline
