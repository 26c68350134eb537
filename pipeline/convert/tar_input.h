// Tars of images, read in place: ILSVRC-2012's and ImageNet-21k's as they are downloaded, and
// others of their layouts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/convert/input.h"
#include "storage/file.h"

namespace bit::pipeline {

struct TarInputOptions {
  // Tars (.tar, .tar.gz, .tgz); a folder stands for the tars in it.
  std::vector<std::string> paths{};
  // One label a line: a number, or the name of a class. Line i is about the i-th image in the byte
  // order of the members' names, as in ILSVRC2012_validation_ground_truth.txt.
  std::string labels_file{};
  // The number of the first class, where labels are numbers (1 in that file).
  std::int64_t label_first = 0;
  // A class list (label_names.h) that turns the numbers of labels_file into names: its first line
  // names number `label_first` (the devkit's ILSVRC2012_IDs).
  std::string label_names_file{};
  unsigned threads = 1;
};

// Of the first image, or tar, in the tars it is known which layout they have:
// - tar of tars (ILSVRC2012_img_train.tar): an inner tar is a class, by its name without ".tar";
// - one tar per class (n01440764.tar ...): the same for several tars;
// - tar of class folders ([root/]class/image.jpg): the class is the folder that holds the image;
// - with labels_file, a tar with a list of labels; a folder of image files may take its place.
// Keys are "<class>/<image>" for the first two and the members' names for the others.
//
// Litter is left out (member_names.h). Members that are neither litter nor images, links, and
// classes without images are problems of the listing; a class without images keeps its label. A tar
// that is damaged or cut is a storage::DataError: how many images it lost cannot be known. Memory:
// with labels_file, about 200 bytes an image and the file; else that of list_containers().
class TarInput final : public Input {
 public:
  enum class Layout { kTarOfTars, kTarPerClass, kClassFolders, kLabelList, kFolderWithLabels };

  // Looks at the first members. `files` must outlive the input. Throws storage::StorageError;
  // storage::DataError when there are no tars, no images, or no way to know their classes.
  TarInput(storage::FileSystem& files, TarInputOptions options);

  std::string kind() const override;
  void list(ListingWriter& listing) override;

 private:
  void list_tars(ListingWriter& listing) const;
  void list_with_labels(ListingWriter& listing) const;
  void list_folder(ListingWriter& listing) const;

  storage::FileSystem& files_;
  const TarInputOptions options_;
  std::vector<std::string> tars_;  // paths, folders replaced by their tars
  Layout layout_ = Layout::kTarPerClass;
};

}  // namespace bit::pipeline
