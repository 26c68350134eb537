// Any bytes as an .npz file: refused, or arrays that lie in the file one beside the other and are
// read as a whole or refused.
#include <cstdint>
#include <span>
#include <vector>

#include "storage/npz.h"
#include "storage/tfrecord.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

constexpr std::uint64_t kReadBytes = 1 << 20;  // more only costs time

void check(const bit::storage::NpzArray& array, std::span<const std::byte> file) {
  using bit::test::fuzz_check;
  const auto& member = array.member;
  fuzz_check(
      member.data.empty() || (member.data.data() >= file.data() &&
                              member.data.data() + member.data.size() <= file.data() + file.size()),
      "a member lies in the file");
  fuzz_check(array.header_bytes + array.bytes == member.bytes, "header and elements are all");
  if (!array.dtype) return;
  std::uint64_t elements = 1;
  for (const std::int64_t dimension : array.shape) {
    fuzz_check(dimension >= 0, "dimensions are no less than 0");
    elements *= static_cast<std::uint64_t>(dimension);
  }
  fuzz_check(elements * bit::storage::dtype_bytes(*array.dtype) == array.bytes,
             "a shape matches its bytes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  try {
    for (const auto& array : bit::storage::parse_npz(file)) {
      check(array, file);
      if (array.bytes > kReadBytes) continue;
      std::vector<std::byte> out(array.bytes);
      bit::storage::read_array(array, out);
    }
  } catch (const bit::storage::DataError&) {
  }
  return 0;
}
