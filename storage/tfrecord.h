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
  kTruncated,       // the file ends inside the record, or what follows is not the rest of it
  kLengthChecksum,  // the stored length fails its checksum
  kLengthTooLarge,  // the length passes its checksum but exceeds kMaxRecordBytes
  kDataChecksum,    // the data fails its checksum
};
const char* describe(RecordFault fault);

// The record at the start of `framed` (its first byte is the first of the length).
struct ParsedRecord {
  std::span<const std::byte> data;   // view into `framed`
  std::optional<RecordFault> fault;  // data is empty when set
};
// `framed` may hold more than the record. `verify_data` false skips the data's checksum.
ParsedRecord parse_record(std::span<const std::byte> framed, bool verify_data = true);

// Reads a file from its start to its end, each byte once and in order, and loses no more of a
// damaged file than what is damaged. One thread.
//
// Behind a fault the next record is the first place at which a whole record passes both checksums,
// or at which one is expected: an offset that the caller knows, or the end of a record whose length
// passed its checksum but whose data did not. It is looked for inside damaged data too: a block
// from elsewhere may lie there, with good records in it. So the records given, good and bad, cover
// the file without a gap. Work is linear in the file, whatever its bytes are: at most
// kSearchBytesPerByte bytes are summed up in vain for each byte read; then only the places at which
// a record is expected are tried. Memory: the longest record that the file has bytes for.
class RecordReader {
 public:
  static constexpr std::uint64_t kSearchBytesPerByte = 16;

  // `known`: where the file's records begin according to an index, ascending; outlives the reader.
  // The size of `file` may be kUnknownSize: the buffer grows as data arrives.
  explicit RecordReader(const ReadableFile& file, std::span<const std::uint64_t> known = {},
                        std::size_t read_bytes = std::size_t{512} << 10);

  struct Record {
    // 0-based number in the file. With known offsets: of the last of them at or before `offset`.
    std::uint64_t index = 0;
    bool indexed = false;             // `offset` is a known one
    std::uint64_t offset = 0;         // of the first byte of its length
    std::uint64_t bytes = 0;          // framing included; with a fault: how many were skipped
    std::span<const std::byte> data;  // valid until the next call; empty with a fault
    std::uint32_t masked_crc = 0;     // of the data, as stored
    std::optional<RecordFault> fault;
  };
  // nullopt at the end of the file. After a fault the next call goes on behind the skipped bytes.
  // Throws StorageError when the file cannot be read.
  std::optional<Record> next();

 private:
  // What stands where the reader stands.
  struct Attempt {
    std::span<const std::byte> framed;  // the whole record; empty with a fault
    std::uint64_t bytes = 0;            // framing included; 0 when its length is unknown
    std::optional<RecordFault> fault;
  };
  Attempt attempt();
  void find_record(std::uint64_t stop);
  void number(Record& record);
  bool search_is_exhausted() const;
  std::uint64_t position() const { return buffer_offset_ + consumed_; }
  // At least `bytes` unread bytes, fewer only at the end of the file.
  std::span<const std::byte> fill(std::uint64_t bytes);

  const ReadableFile& file_;
  const std::span<const std::uint64_t> known_;
  std::size_t passed_ = 0;  // of `known_`
  const std::size_t read_bytes_;
  std::vector<std::byte> buffer_;
  std::uint64_t buffer_offset_ = 0;  // file offset of buffer_[0]
  std::size_t buffered_ = 0;
  std::size_t consumed_ = 0;
  std::uint64_t size_;  // of the file; kUnknownSize until its end was met
  std::uint64_t records_ = 0;
  std::uint64_t summed_in_vain_ = 0;  // bytes
};

// "<fault>; 4096 bytes skipped", of a record with a fault.
std::string describe(const RecordReader::Record& record);

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
