// TFRecord framing: parse, read in sequence, append.
#include "storage/tfrecord.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "storage/crc32c.h"

namespace bit::storage {
namespace {

template <typename Integer>
Integer load(std::span<const std::byte> bytes) {
  Integer value = 0;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

struct Header {
  std::uint64_t length = 0;
  std::optional<RecordFault> fault;
};

// `bytes` holds at least a header.
Header parse_header(std::span<const std::byte> bytes) {
  Header header;
  header.length = load<std::uint64_t>(bytes);
  const auto stored = load<std::uint32_t>(bytes.subspan(8));
  if (stored != mask_crc32c(crc32c(bytes.first(8)))) {
    header.fault = RecordFault::kLengthChecksum;
  } else if (header.length > kMaxRecordBytes) {
    header.fault = RecordFault::kLengthTooLarge;
  }
  return header;
}

}  // namespace

const char* describe(RecordFault fault) {
  switch (fault) {
    case RecordFault::kTruncated:
      return "the file ends inside the record";
    case RecordFault::kLengthChecksum:
      return "the length fails its checksum";
    case RecordFault::kLengthTooLarge:
      return "the length is larger than a record may be (2 GiB)";
    case RecordFault::kDataChecksum:
      return "the data fails its checksum";
  }
  return "unknown fault";
}

DataError record_error(const std::string& path, std::uint64_t record, std::uint64_t offset,
                       const std::string& reason) {
  return DataError(path + ": record " + std::to_string(record) + " at byte " +
                   std::to_string(offset) + ": " + reason);
}

ParsedRecord parse_record(std::span<const std::byte> framed, bool verify_data) {
  if (framed.size() < kRecordHeaderBytes) return {{}, RecordFault::kTruncated};
  const Header header = parse_header(framed);
  if (header.fault) return {{}, header.fault};
  if (framed.size() - kRecordHeaderBytes < 4 ||
      framed.size() - kRecordFramingBytes < header.length) {
    return {{}, RecordFault::kTruncated};
  }
  const auto data = framed.subspan(kRecordHeaderBytes, header.length);
  const auto stored = load<std::uint32_t>(framed.subspan(kRecordHeaderBytes + header.length));
  if (verify_data && stored != mask_crc32c(crc32c(data))) return {{}, RecordFault::kDataChecksum};
  return {data, std::nullopt};
}

RecordReader::RecordReader(const ReadableFile& file, std::size_t read_bytes)
    : file_(file), buffer_(std::max(read_bytes, std::size_t{kRecordFramingBytes})) {}

std::span<const std::byte> RecordReader::fill(std::size_t bytes) {
  if (buffered_ - consumed_ < bytes) {
    std::memmove(buffer_.data(), buffer_.data() + consumed_, buffered_ - consumed_);
    buffer_offset_ += consumed_;
    buffered_ -= consumed_;
    consumed_ = 0;
    if (buffer_.size() < bytes) buffer_.resize(bytes);
    buffered_ += file_.read_at(buffer_offset_ + buffered_, std::span(buffer_).subspan(buffered_));
  }
  return std::span<const std::byte>(buffer_).subspan(consumed_, buffered_ - consumed_);
}

std::optional<RecordReader::Record> RecordReader::next() {
  if (stopped_) return std::nullopt;
  auto ahead = fill(kRecordHeaderBytes);
  if (ahead.empty()) {
    stopped_ = true;
    return std::nullopt;
  }
  Record record;
  record.index = index_++;
  record.offset = buffer_offset_ + consumed_;
  std::uint64_t framed_bytes = 0;
  if (ahead.size() < kRecordHeaderBytes) {
    record.fault = RecordFault::kTruncated;
  } else if (const Header header = parse_header(ahead); header.fault) {
    record.fault = header.fault;
  } else if (framed_bytes = header.length + kRecordFramingBytes;
             framed_bytes > file_.size() - std::min(file_.size(), record.offset)) {
    record.fault = RecordFault::kTruncated;  // known before a buffer of that size is taken
  }
  if (record.fault) {
    stopped_ = true;
    return record;
  }
  ahead = fill(framed_bytes);
  ahead = ahead.first(std::min<std::size_t>(ahead.size(), framed_bytes));
  const ParsedRecord parsed = parse_record(ahead);
  record.data = parsed.data;
  record.fault = parsed.fault;
  stopped_ = record.fault && *record.fault != RecordFault::kDataChecksum;
  if (!stopped_) {
    record.masked_crc = load<std::uint32_t>(ahead.last(4));
    consumed_ += framed_bytes;
  }
  return record;
}

std::uint64_t RecordWriter::append(std::span<const std::byte> data) {
  if (data.size() > kMaxRecordBytes) {
    throw DataError(file_.path() + ": a record of " + std::to_string(data.size()) +
                    " bytes is larger than a record may be (2 GiB)");
  }
  const std::uint64_t offset = bytes_;
  const std::uint64_t length = data.size();
  std::array<std::byte, kRecordHeaderBytes> header{};
  std::memcpy(header.data(), &length, sizeof(length));
  const std::uint32_t length_crc = mask_crc32c(storage::crc32c(std::span(header).first(8)));
  std::memcpy(header.data() + 8, &length_crc, sizeof(length_crc));
  last_masked_crc_ = mask_crc32c(storage::crc32c(data));
  const auto footer = std::as_bytes(std::span(&last_masked_crc_, 1));
  for (const std::span<const std::byte> part : {std::span<const std::byte>(header), data, footer}) {
    file_.append(part);
    crc_ = storage::crc32c(part, crc_);
    bytes_ += part.size();
  }
  ++records_;
  return offset;
}

}  // namespace bit::storage
