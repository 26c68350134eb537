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

// Whether a header that could stand in front of `rest` - 12 bytes begins here. Cheap tests first.
bool may_begin_record(const std::byte* at, std::uint64_t rest) {
  std::uint64_t length = 0;
  std::memcpy(&length, at, sizeof(length));
  return length <= kMaxRecordBytes && length + kRecordFramingBytes <= rest &&
         !parse_header({at, kRecordHeaderBytes}).fault;
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

RecordReader::RecordReader(const ReadableFile& file, std::span<const std::uint64_t> known,
                           std::size_t read_bytes)
    : file_(file),
      known_(known),
      read_bytes_(std::max(read_bytes, std::size_t{kRecordFramingBytes})),
      buffer_(read_bytes_),
      size_(file.size()) {}

std::span<const std::byte> RecordReader::fill(std::uint64_t bytes) {
  if (buffered_ - consumed_ < bytes && buffer_offset_ + buffered_ < size_) {
    std::memmove(buffer_.data(), buffer_.data() + consumed_, buffered_ - consumed_);
    buffer_offset_ += consumed_;
    buffered_ -= consumed_;
    consumed_ = 0;
    while (buffered_ < bytes && buffer_offset_ + buffered_ < size_) {
      // A length is believed as far as the file has bytes for it: twice of what has arrived.
      const std::size_t most = size_ == kUnknownSize ? 2 * buffered_ : bytes;
      buffer_.resize(std::max<std::size_t>(buffer_.size(), std::min<std::uint64_t>(bytes, most)));
      const auto space = std::span(buffer_).subspan(buffered_);
      const std::size_t count = file_.read_at(buffer_offset_ + buffered_, space);
      buffered_ += count;
      if (count < space.size()) size_ = buffer_offset_ + buffered_;
    }
    file_.will_need(buffer_offset_ + buffered_, read_bytes_);
  }
  return std::span<const std::byte>(buffer_).subspan(consumed_, buffered_ - consumed_);
}

RecordReader::Attempt RecordReader::attempt() {
  const auto ahead = fill(kRecordHeaderBytes);
  if (ahead.size() < kRecordHeaderBytes) return {{}, 0, RecordFault::kTruncated};
  const Header header = parse_header(ahead);
  if (header.fault) return {{}, 0, header.fault};
  const std::uint64_t bytes = header.length + kRecordFramingBytes;
  // Known before a buffer of that size is taken, if the size of the file is.
  if (bytes > size_ - position() || fill(bytes).size() < bytes) {
    return {{}, 0, RecordFault::kTruncated};
  }
  const auto framed = fill(bytes).first(bytes);
  const auto fault = parse_record(framed).fault;
  if (!fault) return {framed, bytes, std::nullopt};
  summed_in_vain_ += bytes;
  return {{}, bytes, fault};
}

// Goes on to the next whole record that begins before `stop`, else to `stop` or the file's end.
void RecordReader::find_record(std::uint64_t stop) {
  while (position() < stop) {
    const auto ahead = fill(kRecordFramingBytes);
    if (ahead.size() < kRecordFramingBytes || search_is_exhausted()) {
      consumed_ += std::min<std::uint64_t>(ahead.size(), stop - position());
      if (ahead.empty()) return;
      continue;
    }
    const std::uint64_t places =
        std::min<std::uint64_t>(ahead.size() - kRecordFramingBytes + 1, stop - position());
    const std::uint64_t rest = size_ - position();
    std::uint64_t place = 0;
    while (place < places && !may_begin_record(ahead.data() + place, rest - place)) ++place;
    consumed_ += place;
    if (place < places) {
      if (!attempt().fault) return;
      ++consumed_;
    }
  }
}

bool RecordReader::search_is_exhausted() const {
  return summed_in_vain_ / kSearchBytesPerByte > buffer_offset_ + buffered_;
}

void RecordReader::number(Record& record) {
  while (passed_ < known_.size() && known_[passed_] <= record.offset) ++passed_;
  if (passed_ > 0) {
    record.index = passed_ - 1;
    record.indexed = known_[passed_ - 1] == record.offset;
  } else {
    record.index = known_.empty() ? records_++ : 0;
  }
}

std::optional<RecordReader::Record> RecordReader::next() {
  if (fill(1).empty()) return std::nullopt;
  Record record;
  record.offset = position();
  number(record);
  const Attempt found = attempt();
  if (!found.fault) {
    record.bytes = found.bytes;
    record.data = found.framed.subspan(kRecordHeaderBytes, found.bytes - kRecordFramingBytes);
    record.masked_crc = load<std::uint32_t>(found.framed.last(4));
    consumed_ += found.bytes;
    return record;
  }
  record.fault = found.fault;
  const std::uint64_t end = found.bytes == 0 ? kUnknownSize : record.offset + found.bytes;
  const bool believe_known = end == kUnknownSize || !search_is_exhausted();
  const std::uint64_t known =
      passed_ < known_.size() && believe_known ? known_[passed_] : kUnknownSize;
  ++consumed_;
  find_record(std::min(end, known));
  record.bytes = position() - record.offset;
  return record;
}

std::string describe(const RecordReader::Record& record) {
  return std::string(record.fault ? describe(*record.fault) : "no fault") + "; " +
         std::to_string(record.bytes) + " bytes skipped";
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
