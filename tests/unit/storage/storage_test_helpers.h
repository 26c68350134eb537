// What the storage tests share: bytes of text, what an exception says, and small TFRecord files.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/example.h"
#include "storage/file.h"
#include "storage/tfrecord.h"
#include "tests/support/temp_directory.h"

namespace bit::storage {

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// what() of the Error that `action` throws; fails the test when it throws none.
template <typename Error, typename Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

inline void write_text(const std::string& path, std::string_view text) {
  const auto file = posix_file_system().create(path);
  file->append(bytes_of(text));
  file->close();
}

// Returns the offsets of the records.
inline std::vector<std::uint64_t> write_records(const std::string& path,
                                                const std::vector<std::string>& records) {
  const auto file = posix_file_system().create(path);
  RecordWriter writer(*file);
  std::vector<std::uint64_t> offsets;
  for (const std::string& record : records) offsets.push_back(writer.append(bytes_of(record)));
  file->close();
  return offsets;
}

inline std::string image_record(const std::string& encoded, std::vector<std::int32_t> labels,
                                const std::string& key) {
  ImageExample image;
  image.encoded = bytes_of(encoded);
  image.labels = std::move(labels);
  image.key = key;
  image.width = 640;
  image.height = 480;
  return serialize_image_example(image, "class name");
}

}  // namespace bit::storage
