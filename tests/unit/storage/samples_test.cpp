// The samples in tests/data, which the fuzz targets run over too: files named good_ are accepted,
// files named bad_ refused.
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "storage/npz.h"
#include "storage/record_index.h"
#include "storage/safetensors.h"
#include "storage/tar.h"
#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

// Throws when a file is not what it should be.
using Reader = std::function<void(const std::string& path)>;

void read_records(const std::string& path) {
  const auto file = posix_file_system().open(path);
  RecordReader reader(*file);
  while (const auto record = reader.next()) {
    if (record->fault) {
      throw record_error(path, record->index, record->offset, describe(*record->fault));
    }
  }
}

void read_index(const std::string& path) {
  const RecordIndex index = RecordIndex::open(path);
  for (std::uint64_t record = 0; record < index.records(); ++record) index.labels(record);
}

void read_tar(const std::string& path) {
  const auto file = posix_file_system().open(path);
  TarReader reader(*file);
  while (reader.next()) {
  }
}

void expect_names_tell_the_truth(const std::string& folder, const Reader& read) {
  int good = 0;
  int bad = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(BIT_SOURCE_DIR "/tests/data/" + folder)) {
    if (entry.path().filename().string().starts_with("good_")) {
      EXPECT_NO_THROW(read(entry.path())) << entry.path();
      ++good;
    } else {
      EXPECT_THROW(read(entry.path()), DataError) << entry.path();
      ++bad;
    }
  }
  EXPECT_GT(good, 0);
  EXPECT_GT(bad, 0);
}

TEST(Samples, of_tfrecord_are_read_or_refused_as_their_names_say) {
  expect_names_tell_the_truth("tfrecord", read_records);
}

TEST(Samples, of_tars_are_read_or_refused_as_their_names_say) {
  expect_names_tell_the_truth("tar", read_tar);
}

TEST(Samples, of_examples_are_read_or_refused_as_their_names_say) {
  expect_names_tell_the_truth("example", [](const std::string& path) {
    const std::string record = read_file(posix_file_system(), path);
    parse_image_example(bytes_of(record));
  });
}

TEST(Samples, of_safetensors_are_read_or_refused_as_their_names_say) {
  expect_names_tell_the_truth("safetensors",
                              [](const std::string& path) { SafetensorsFile file(path); });
}

TEST(Samples, of_npz_are_read_or_refused_as_their_names_say) {
  expect_names_tell_the_truth("npz", [](const std::string& path) {
    const NpzFile file(path);
    for (const NpzArray& array : file.arrays()) {
      std::vector<std::byte> elements(array.bytes);
      file.read(array, elements);
    }
  });
}

TEST(Samples, of_indexes_are_read_or_refused_as_their_names_say) {
  expect_names_tell_the_truth("record_index", read_index);
}

}  // namespace
}  // namespace bit::storage
