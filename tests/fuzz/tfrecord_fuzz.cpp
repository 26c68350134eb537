// Any bytes as a TFRecord file: the reader ends, every record it gives lies in the file where it
// says, and parsing that place alone gives the same. Once with the bytes as they are, once with
// checksums made good, so that lengths are explored too.
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
  explicit MemoryFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset >= bytes_.size()) return 0;
    const std::size_t count = std::min<std::size_t>(out.size(), bytes_.size() - offset);
    std::memcpy(out.data(), bytes_.data() + offset, count);
    return count;
  }
  std::uint64_t size() const override { return bytes_.size(); }
  const std::string& path() const override { return path_; }

 private:
  std::span<const std::byte> bytes_;
  std::string path_ = "memory";
};

void read(std::span<const std::byte> bytes) {
  const MemoryFile file(bytes);
  RecordReader reader(file, 64);
  std::uint64_t end = 0;
  std::uint64_t records = 0;
  bool lost = false;
  while (const auto record = reader.next()) {
    fuzz_check(!lost, "nothing follows a record whose end is unknown");
    fuzz_check(record->index == records++, "records are counted");
    fuzz_check(record->offset < bytes.size(), "a record starts in the file");
    fuzz_check(record->offset >= end, "records follow each other");
    const ParsedRecord parsed = parse_record(bytes.subspan(record->offset));
    fuzz_check(parsed.fault == record->fault, "both parsers find the same fault");
    fuzz_check(std::ranges::equal(parsed.data, record->data), "both parsers find the same data");
    lost = record->fault && *record->fault != RecordFault::kDataChecksum;
    end = record->offset + record->data.size() + kRecordFramingBytes;
    fuzz_check(record->fault || end <= bytes.size(), "a record ends in the file");
  }
  fuzz_check(lost || bytes.empty() || records > 0, "a file that is not empty has a record");
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
