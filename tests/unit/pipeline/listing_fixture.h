// What an input lists, as text: "name -> labels" and "name: reason".
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "pipeline/convert/input.h"
#include "storage/tfrecord.h"
#include "tests/support/temp_directory.h"

namespace bit::pipeline {

// What `action` threw, "" when nothing.
template <typename Error, typename Action>
std::string what_is_thrown(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class ListingTest : public testing::Test {
 protected:
  // Returns its path.
  std::string write(const std::string& name, std::string_view content) {
    const std::string path = directory_ / name;
    files_.make_directories(path.substr(0, path.rfind('/')));
    const auto file = files_.create(path);
    file->append(std::as_bytes(std::span(content)));
    file->close();
    return path;
  }

  Listing list(Input& input, LabelNames labels = {}) {
    ListingWriter writer(files_, directory_ / "listing", labels);
    input.list(writer);
    writer.finish();
    return Listing::open(files_, directory_ / "listing");
  }

  // "place key=... -> 3 5", with the place below the temporary directory and the key when it is
  // another.
  std::vector<std::string> images(const Listing& listing) const {
    std::vector<std::string> all;
    for (std::uint64_t i = 0; i < listing.images(); ++i) {
      const ListedImage image = listing.image(i);
      std::string text = below(listing.place(image));
      if (text != image.key) text += " key=" + image.key;
      text += " ->";
      for (const std::int32_t label : image.labels) text += " " + std::to_string(label);
      all.push_back(text);
    }
    return all;
  }

  std::vector<std::string> problems(const Listing& listing) const {
    std::vector<std::string> all;
    for (const auto& problem : listing.problems()) {
      all.push_back(below(problem.path) + " | " + below(problem.reason));
    }
    return all;
  }

  // Without the temporary directory.
  std::string below(std::string text) const {
    const std::string root = directory_.path() + "/";
    for (std::size_t at = 0; (at = text.find(root, at)) != std::string::npos;) {
      text.erase(at, root.size());
    }
    return text;
  }

  storage::FileSystem& files_ = storage::posix_file_system();
  test::TempDirectory directory_;
};

}  // namespace bit::pipeline
