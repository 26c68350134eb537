#include "pipeline/convert/list_file.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "pipeline/convert/list_rows.h"
#include "storage/delimited_text.h"
#include "storage/gzip.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

// Longer paths and keys are mistakes of the list: Linux's PATH_MAX.
constexpr std::size_t kMaxTextBytes = 4096;

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Rows to images: collects the rows of a path and lists the image when another path follows.
class ImageCollector {
 public:
  ImageCollector(const ListFileOptions& options, ListingWriter& listing)
      : options_(options), listing_(listing) {
    image_.container =
        listing_.add_container(options.root.empty() ? folder_of(options.path) : options.root);
    listing_.add_container(options.path);  // no image lies in it, but a change of it is seen
  }

  void add(const ListRow& row) {
    if (!open_ || row.path != path_) begin(row);
    if (!row.fault.empty()) fail(row, row.fault);
    if (!row.absent) add_labels(row);
  }

  void finish() {
    if (!std::exchange(open_, false)) return;
    if (!fault_.empty()) {
      listing_.add_problem(
          options_.path_prefix + path_.substr(0, kMaxTextBytes) + options_.path_suffix, fault_);
    } else if (present_) {
      listing_.add(image_);
    }
  }

  bool is_empty() const { return !any_; }

 private:
  void begin(const ListRow& row) {
    finish();
    open_ = any_ = true;
    present_ = false;
    fault_.clear();
    path_ = row.path;
    image_.key = row.key.empty() ? row.path : row.key;
    image_.name = options_.path_prefix;
    image_.name += row.path;
    image_.name += options_.path_suffix;
    image_.labels.clear();
    if (std::max(image_.name.size(), image_.key.size()) > kMaxTextBytes) {
      fail(row, "a path or key of more than " + std::to_string(kMaxTextBytes) + " bytes");
    } else if (image_.name.find('\0') != std::string::npos) {
      fail(row, "a zero byte in the path");
    }
  }

  void add_labels(const ListRow& row) {
    present_ = true;
    if (row.labels.empty()) fail(row, "no label");
    if (row.labels.size() + image_.labels.size() > kMaxLabels) {
      fail(row, "more than " + std::to_string(kMaxLabels) + " labels");
    }
    if (!fault_.empty()) return;
    try {
      for (const std::string_view label : row.labels) {
        if (label.size() > kMaxTextBytes) throw storage::DataError("a label that is too long");
        image_.labels.push_back(listing_.labels().label(label, options_.label_first));
      }
    } catch (const storage::DataError& error) {
      fail(row, error.what());
    }
  }

  // The first fault of an image is told.
  void fail(const ListRow& row, const std::string& reason) {
    if (fault_.empty()) fault_ = storage::at_line(options_.path, row.line, reason);
  }

  const ListFileOptions& options_;
  ListingWriter& listing_;
  bool any_ = false;
  bool open_ = false;     // there is an image that is not listed yet:
  bool present_ = false;  // whether a label of it is said to be there
  std::string path_;      // as in the list
  std::string fault_;
  ListedImage image_;
};

}  // namespace

ListFile::ListFile(storage::FileSystem& files, ListFileOptions options)
    : files_(files), options_(std::move(options)) {}

void ListFile::list(ListingWriter& listing) {
  const auto file = storage::open_plain_or_gzip(files_, options_.path);
  const auto rows = open_list_rows(*file, options_);
  ImageCollector images(options_, listing);
  ListRow row;
  while (rows->next(row)) images.add(row);
  images.finish();
  if (images.is_empty()) throw storage::DataError(options_.path + ": no images in the list");
}

}  // namespace bit::pipeline
