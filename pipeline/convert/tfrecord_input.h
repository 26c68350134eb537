// Images that are TFRecords already, of any of the key conventions that storage/example.h reads:
// to be sharded, shuffled or merged anew. Gzip is read as well.
#pragma once

#include <string>
#include <vector>

#include "pipeline/convert/input.h"
#include "storage/file.h"

namespace bit::pipeline {

struct TfrecordOptions {
  std::vector<std::string> paths;  // listed in this order
  // What the numbers of the labels stand for, the first class first; empty: numbers is all that is
  // known of the classes.
  std::vector<std::string> class_names;
  unsigned threads = 1;
};

// Both checksums of every record are checked. A record that is damaged, holds no image or has no
// label (or one that class_names lacks) is a problem; reading goes on behind it. The key of an
// image is that of its record; of one without a key, "<file name>#<number of the record>".
class TfrecordInput final : public Input {
 public:
  TfrecordInput(storage::FileSystem& files, TfrecordOptions options);

  std::string kind() const override { return "TFRecord files"; }
  void list(ListingWriter& listing) override;

 private:
  storage::FileSystem& files_;
  const TfrecordOptions options_;
};

}  // namespace bit::pipeline
