// What the tests of tar inputs share: small JPEG files as texts, and everything that an input
// lists.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/convert/input.h"
#include "storage/tfrecord.h"
#include "tests/support/gzip_writer.h"
#include "tests/support/jpeg_writer.h"
#include "tests/support/tar_writer.h"
#include "tests/support/temp_directory.h"

namespace bit::pipeline {

// A JPEG file of its own for each seed.
inline std::string jpeg(std::uint32_t seed) {
  const auto bytes = test::write_jpeg(test::test_picture(16, 16, 3, seed), 16, 16);
  return std::string(test::as_text(bytes));
}

struct Seen {
  std::string key;
  std::vector<std::string> labels;  // names, or numbers where classes have no names
  std::string bytes;
  bool operator==(const Seen&) const = default;
};
// Without the bytes.
inline std::ostream& operator<<(std::ostream& out, const Seen& seen) {
  return out << seen.key << " " << testing::PrintToString(seen.labels) << ", " << seen.bytes.size()
             << " bytes";
}

class TarFixture : public testing::Test {
 protected:
  std::string write(const std::string& name, std::string_view content) {
    const std::string path = directory_ / name;
    const auto slash = path.rfind('/');
    storage::posix_file_system().make_directories(path.substr(0, slash));
    const auto file = storage::posix_file_system().create(path);
    file->append(std::as_bytes(std::span(content)));
    file->close();
    return path;
  }

  // Lists `input` and reads every image of the list.
  std::vector<Seen> list(Input& input, LabelNames labels = {}) {
    storage::FileSystem& files = storage::posix_file_system();
    const std::string path = directory_ / ("listing-" + std::to_string(listings_++));
    ListingWriter writer(files, path, labels);
    input.list(writer);
    writer.finish();
    const Listing listing = Listing::open(files, path);
    class_names_ = listing.class_names();
    problems_.clear();
    for (const auto& problem : listing.problems()) problems_[problem.path] = problem.reason;
    std::vector<Seen> seen;
    for (std::uint64_t i = 0; i < listing.images(); ++i) {
      const ListedImage image = listing.image(i);
      Seen one{image.key, {}, std::string(test::as_text(listing.read(image)))};
      for (const std::int32_t label : image.labels) {
        one.labels.push_back(class_names_.empty()
                                 ? std::to_string(label)
                                 : class_names_.at(static_cast<std::size_t>(label)));
      }
      seen.push_back(std::move(one));
    }
    return seen;
  }

  // what() of the DataError that `action` throws.
  template <typename Action>
  static std::string failure(Action action) {
    try {
      action();
    } catch (const storage::DataError& error) {
      return error.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
  }

  test::TempDirectory directory_;
  std::vector<std::string> class_names_;         // of the last list
  std::map<std::string, std::string> problems_;  // path, reason
  int listings_ = 0;
};

}  // namespace bit::pipeline
