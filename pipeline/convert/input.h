// What a conversion can read. An input lists its images once, in a streaming pass, into a Listing;
// from then on an image is a range of bytes in a file. One implementation a file: class_folders.h,
// list_file.h, tar_input.h, webdataset.h, tfrecord_input.h, tfds_directory.h.
#pragma once

#include <cstdint>
#include <string>

#include "pipeline/convert/listing.h"

namespace bit::pipeline {

class Input {
 public:
  virtual ~Input() = default;
  // In a word or two, for people: "class folders", "WebDataset tars".
  virtual std::string kind() const = 0;
  // Hands every image to `listing`, in an order that depends on the input alone. Memory: never more
  // than a container's worth a thread. What cannot be used becomes a problem of the listing. Throws
  // storage::StorageError; storage::DataError when the input is not what it has to be, naming file
  // and line or offset.
  virtual void list(ListingWriter& listing) = 0;
};

}  // namespace bit::pipeline
