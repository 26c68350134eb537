// TFRecord files: u64 length, masked CRC-32C of the length, data, masked CRC-32C of the data, all
// little-endian, nothing else in the file (tensorflow/core/lib/io/record_writer.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "storage/file.h"

namespace bit::storage {

inline constexpr std::uint64_t kRecordHeaderBytes = 12;   // length and its checksum
inline constexpr std::uint64_t kRecordFramingBytes = 16;  // header and the checksum of the data
// What a protobuf message, and so a record, can hold.
inline constexpr std::uint64_t kMaxRecordBytes = (std::uint64_t{1} << 31) - 1;

// Data that cannot be used: what() reads "<file>: record <n> at byte <offset>: <reason>" with what
// is known of it.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// "<path>: record <record> at byte <offset>: <reason>"
DataError record_error(const std::string& path, std::uint64_t record, std::uint64_t offset,
                       const std::string& reason);

enum class RecordFault {
  kTruncated,       // the file ends inside the record
  kLengthChecksum,  // the stored length fails its checksum: nothing after it can be located without
                    // an index
  kLengthTooLarge,  // the length passes its checksum but exceeds kMaxRecordBytes
  kDataChecksum,    // the data fails its checksum: the next record can still be read
};
const char* describe(RecordFault fault);

// The record at the start of `framed` (its first byte is the first of the length).
struct ParsedRecord {
  std::span<const std::byte> data;   // view into `framed`
  std::optional<RecordFault> fault;  // data is empty when set
};
// `framed` may hold more than the record. `verify_data` false skips the data's checksum.
ParsedRecord parse_record(std::span<const std::byte> framed, bool verify_data = true);

// Reads a file from its start, in large reads. One thread.
class RecordReader {
 public:
  RecordReader(const ReadableFile& file, std::size_t read_bytes = std::size_t{4} << 20);

  struct Record {
    std::uint64_t index = 0;          // 0-based, in the file
    std::uint64_t offset = 0;         // of the first byte of its length
    std::span<const std::byte> data;  // valid until the next call
    std::uint32_t masked_crc = 0;     // of the data, as stored
    std::optional<RecordFault> fault;
  };
  // nullopt at a clean end of the file. After a kDataChecksum fault the next call goes on with the
  // next record; after any other fault the next call returns nullopt. Throws StorageError when the
  // file cannot be read.
  std::optional<Record> next();

 private:
  // At least `bytes` unread bytes, fewer only at the end of the file.
  std::span<const std::byte> fill(std::size_t bytes);

  const ReadableFile& file_;
  std::vector<std::byte> buffer_;
  std::uint64_t buffer_offset_ = 0;  // file offset of buffer_[0]
  std::size_t buffered_ = 0;
  std::size_t consumed_ = 0;
  std::uint64_t index_ = 0;
  bool stopped_ = false;
};

// Appends records to a file it does not own.
class RecordWriter {
 public:
  explicit RecordWriter(WritableFile& file) : file_(file) {}
  // Returns the offset of the record's first byte.
  std::uint64_t append(std::span<const std::byte> data);
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t records() const { return records_; }
  std::uint32_t crc32c() const { return crc_; }  // of everything written so far
  std::uint32_t last_masked_crc() const { return last_masked_crc_; }  // of the last record's data

 private:
  WritableFile& file_;
  std::uint64_t bytes_ = 0;
  std::uint64_t records_ = 0;
  std::uint32_t crc_ = 0;
  std::uint32_t last_masked_crc_ = 0;
};

}  // namespace bit::storage
