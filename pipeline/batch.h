// What the loader hands over: one rank's part of a global batch, and the records that could not be
// used for it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bit::pipeline {

// A record that could not be used, and what took its place.
struct BadRecord {
  std::uint64_t batch = 0;  // global batch it was drawn for
  std::uint64_t record = 0;
  std::uint64_t replacement = 0;  // kPadding in evaluation: the record is not counted
  std::string file;
  std::uint64_t offset = 0;  // bytes, in the file
  std::string key;           // of the record, when it could be read
  std::string reason;
};

// One rank's part of a global batch, lent by the loader.
struct Batch {
  std::uint64_t number = 0;  // global batch
  std::uint64_t epoch = 0;
  std::uint32_t size = 0;  // slots of this rank
  std::uint32_t image_size = 0;
  // [size, image_size, image_size, 3] uint8 RGB; padding is zero
  std::span<const std::uint8_t> images;
  std::span<const std::uint64_t> records;             // [size] record used, kPadding for padding
  std::span<const std::vector<std::int32_t>> labels;  // [size] 0-based; empty for padding
  std::span<const BadRecord> bad_records;             // met while this batch was filled
  double wait_seconds = 0;                            // next() waited so long for it
};

}  // namespace bit::pipeline
