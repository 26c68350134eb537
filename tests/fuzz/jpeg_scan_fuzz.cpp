// Any bits as the coded data of a JPEG whose header is sound: all ways to decode it give the same
// pixels or a DataError.
#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/fuzz/fuzz_check.h"
#include "tests/support/jpeg_crafted.h"
#include "tests/support/jpeg_ways.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static bit::test::JpegWays ways;
  const auto jpeg = bit::test::crafted_jpeg({data, size});
  if (jpeg.empty()) return 0;
  const std::uint32_t choice = std::uint32_t{data[6]} << 8 | data[7];
  const auto result = ways.compare(jpeg, choice, 96 * 96);
  bit::test::fuzz_check(result.broken == nullptr, result.broken);
  return 0;
}
