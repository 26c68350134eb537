// Any bytes as a TFRecord file: the reader ends, the records it gives cover the file, and parsing
// the place of one alone gives the same. Once with the bytes as they are, once with
// checksums made good, so that lengths are explored too.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "storage/crc32c.h"
#include "storage/tfrecord.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace bit::storage;
using bit::test::fuzz_check;

class MemoryFile final : public ReadableFile {
 public:
  MemoryFile(std::span<const std::byte> bytes, std::uint64_t stated_size)
      : bytes_(bytes), stated_size_(stated_size) {}
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset >= bytes_.size()) return 0;
    const std::size_t count = std::min<std::size_t>(out.size(), bytes_.size() - offset);
    std::memcpy(out.data(), bytes_.data() + offset, count);
    return count;
  }
  std::uint64_t size() const override { return stated_size_; }
  const std::string& path() const override { return path_; }

 private:
  std::span<const std::byte> bytes_;
  std::uint64_t stated_size_;
  std::string path_ = "memory";
};

void read(std::span<const std::byte> bytes, std::span<const std::uint64_t> known,
          std::uint64_t stated_size) {
  const MemoryFile file(bytes, stated_size);
  RecordReader reader(file, known, 64);
  std::uint64_t end = 0;
  while (const auto record = reader.next()) {
    fuzz_check(record->offset == end, "records cover the file");
    fuzz_check(record->bytes > 0, "the reader moves on");
    end = record->offset + record->bytes;
    fuzz_check(end <= bytes.size(), "a record ends in the file");
    const bool is_known = std::ranges::find(known, record->offset) != known.end();
    fuzz_check(is_known || !record->indexed, "only known offsets are said to be known");
    const ParsedRecord parsed = parse_record(bytes.subspan(record->offset));
    fuzz_check(parsed.fault == record->fault, "both parsers find the same fault");
    fuzz_check(std::ranges::equal(parsed.data, record->data), "both parsers find the same data");
  }
  fuzz_check(end == bytes.size(), "records cover the file to its end");
}

// As a file of known and of unknown size; with offsets that the bytes themselves make up.
void read(std::span<const std::byte> bytes) {
  std::vector<std::uint64_t> known;
  for (std::uint64_t offset = 0; offset < bytes.size() && known.size() < 64;) {
    known.push_back(offset);
    offset += 1 + static_cast<std::uint64_t>(bytes[offset]);
  }
  for (const std::uint64_t stated_size : {std::uint64_t{bytes.size()}, kUnknownSize}) {
    read(bytes, {}, stated_size);
    read(bytes, known, stated_size);
  }
}

void make_checksums_good(std::span<std::byte> bytes) {
  const auto store = [](std::span<std::byte> at, std::uint32_t crc) {
    const std::uint32_t masked = mask_crc32c(crc);
    std::memcpy(at.data(), &masked, sizeof(masked));
  };
  while (bytes.size() >= kRecordFramingBytes) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    store(bytes.subspan(8), crc32c(bytes.first(8)));
    if (length > bytes.size() - kRecordFramingBytes) return;
    store(bytes.subspan(kRecordHeaderBytes + length),
          crc32c(bytes.subspan(kRecordHeaderBytes, length)));
    bytes = bytes.subspan(length + kRecordFramingBytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  read(bytes);
  std::vector<std::byte> good(bytes.begin(), bytes.end());
  make_checksums_good(good);
  read(good);
  return 0;
}
