// Any bytes as an index: refused, or every record can be asked for without a read outside the file.
// Once as they are, once with size and checksum of the header made good, so that the columns are
// explored too.
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "storage/crc32c.h"
#include "storage/record_index.h"
#include "storage/tfrecord.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace bit::storage;

constexpr std::size_t kHeaderBytes = 80;

void use(std::span<const std::byte> file) {
  try {
    const RecordIndex index = RecordIndex::parse(file);
    std::uint64_t records = 0;
    for (const IndexedShard& shard : index.shards()) records += shard.records;
    bit::test::fuzz_check(records == index.records(), "each record belongs to a shard");
    std::uint64_t sum = 0;
    for (std::uint64_t record = 0; record < index.records(); ++record) {
      bit::test::fuzz_check(index.shard_of(record) < index.shards().size(), "the shard exists");
      sum += index.offset(record) + index.bytes(record) + index.width(record) +
             index.height(record) + index.key_hash(record) + index.masked_crc(record);
      try {
        for (const std::int32_t label : index.labels(record)) sum += static_cast<unsigned>(label);
      } catch (const DataError&) {
      }
    }
    volatile std::uint64_t used = sum;  // the reads above must happen
    static_cast<void>(used);
    index.verify();
  } catch (const DataError&) {
  }
}

void make_header_good(std::span<std::byte> file) {
  const std::uint64_t size = file.size();
  std::memcpy(file.data() + 16, &size, sizeof(size));
  std::memset(file.data() + 12, 0, 4);
  const std::uint32_t crc = mask_crc32c(crc32c(file.first(kHeaderBytes)));
  std::memcpy(file.data() + 12, &crc, sizeof(crc));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint64_t> words((size + 7) / 8);  // aligned, as a mapped file is
  const auto file = std::as_writable_bytes(std::span(words)).first(size);
  if (size > 0) std::memcpy(file.data(), data, size);
  use(file);
  if (size >= kHeaderBytes) {
    make_header_good(file);
    use(file);
  }
  return 0;
}
