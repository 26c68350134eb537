// A small input of class folders, and what the tests of conversion ask about the dataset it
// becomes.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "pipeline/convert/class_folders.h"
#include "pipeline/convert/converter.h"
#include "pipeline/convert/verify_split.h"
#include "storage/dataset_manifest.h"
#include "storage/tfrecord.h"
#include "tests/support/jpeg_writer.h"
#include "tests/support/temp_directory.h"

namespace bit::pipeline {

namespace fs = std::filesystem;

inline void write_bytes(const fs::path& path, std::span<const std::byte> bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

inline void write_text(const fs::path& path, const std::string& text) {
  write_bytes(path, std::as_bytes(std::span(text)));
}

// Of published files: what a conversion keeps to go on with is left out.
inline std::map<std::string, std::string> contents(const fs::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const std::string name = fs::relative(entry.path(), directory).string();
    if (!entry.is_regular_file() || name.find(".partial/") != std::string::npos) continue;
    files[name] = storage::read_file(storage::posix_file_system(), entry.path().string());
  }
  return files;
}

// What `action` threw, "" when nothing.
template <typename Error, typename Action>
std::string failure(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// A folder of `classes` class folders of small pictures, and where to convert it to.
class Convert : public testing::Test {
 protected:
  void SetUp() override { make_images(input_, 4, 30); }

  static void make_images(const fs::path& root, std::uint32_t classes, std::uint32_t images) {
    for (std::uint32_t c = 0; c < classes; ++c) {
      for (std::uint32_t i = 0; i < images; ++i) {
        const std::uint32_t width = 16 + i % 9, height = 20;
        const auto file =
            test::write_jpeg(test::test_picture(width, height, 3, c * images + i), width, height,
                             {.horizontal = 2, .vertical = 2, .progressive = i % 5 == 0});
        write_bytes(root / ("class-" + std::to_string(c)) / ("image-" + std::to_string(i) + ".jpg"),
                    file);
      }
    }
  }

  ConvertOptions options(const std::string& output = "data") const {
    ConvertOptions options;
    options.output = directory_ / output;
    options.input = input_.string();
    options.name = "pictures";
    options.split = "train";
    options.shards = 3;
    options.seed = 5;
    options.threads = 2;
    return options;
  }

  ConvertReport run(const ConvertOptions& options,
                    storage::FileSystem& files = storage::posix_file_system()) const {
    ClassFolders input(storage::posix_file_system(), input_.string());
    return convert(input, files, options);
  }

  static std::vector<SplitProblem> problems(const std::string& directory, bool decode = true) {
    const auto manifest = storage::read_manifest(storage::posix_file_system(), directory);
    std::vector<SplitProblem> found;
    for (const auto& split : manifest.splits()) {
      const auto report = verify_split(storage::posix_file_system(), directory, manifest, split,
                                       {.threads = 2, .decode = decode});
      found.insert(found.end(), report.problems.begin(), report.problems.end());
    }
    return found;
  }

  static bool has_split(const std::string& directory, const std::string& split) {
    if (!fs::exists(directory + "/dataset.json")) return false;
    const auto manifest = storage::read_manifest(storage::posix_file_system(), directory);
    return storage::find_split(manifest, split) != nullptr;
  }

  test::TempDirectory directory_;
  fs::path input_ = directory_ / "input";
};

}  // namespace bit::pipeline
