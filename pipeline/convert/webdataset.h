// WebDataset tars: members that follow each other and have equal names up to the first dot of the
// base name are one sample (github.com/webdataset/webdataset, tariterators.py).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/convert/input.h"
#include "storage/file.h"

namespace bit::pipeline {

struct WebDatasetOptions {
  std::vector<std::string> paths{};  // of the tars (also .tar.gz), in the order of the dataset
  // The field of .json members that holds the labels, which then go before .cls members. Empty:
  // the first of `label`, `labels`, `cls` and `class`, where there is no .cls member.
  std::string json_label{};
  bool text_labels = false;      // .txt members are labels, in the form of .cls members
  std::int64_t label_first = 0;  // the number of the first class, where labels are numbers
  unsigned threads = 1;
};

// A sample's parts are told by what follows the last dot, in any case: .jpg .jpeg .png .webp .bmp
// .gif is its image (`a.jpg` goes before `a.small.jpg`, two images of equal rank are a problem),
// .cls a number, several of them between spaces or commas, or a name; the field of a .json a
// number, a text, or a list of them. The key of a record is the sample's: folder and name up to the
// dot.
//
// Samples without image or label, and those that cannot be understood or whose .cls or .json has
// more than 1 MiB, are problems of the listing. Left out are, as WebDataset does, names without a
// dot or beginning with one, and `__meta__` members. A tar that is damaged or cut is a
// storage::DataError. Memory: a sample's labels besides that of list_containers().
class WebDataset final : public Input {
 public:
  // `files` must outlive the input.
  WebDataset(storage::FileSystem& files, WebDatasetOptions options);

  std::string kind() const override { return "WebDataset tars"; }
  void list(ListingWriter& listing) override;

 private:
  storage::FileSystem& files_;
  const WebDatasetOptions options_;
};

// Whether among the first 64 members of a tar there are an image and a .cls or .json of one sample.
// False for what is not a tar. Throws storage::StorageError.
bool looks_like_webdataset(storage::FileSystem& files, const std::string& path);

}  // namespace bit::pipeline
