// Any bytes: each way to decode gives pixels or a DataError and reads nothing outside of them;
// where two give pixels, they are the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/fuzz/fuzz_check.h"
#include "tests/support/jpeg_ways.h"

namespace {

constexpr std::uint64_t kMaxPixels = 1U << 20;  // larger images only cost time
constexpr std::uint64_t kMaxWork = 1ULL << 26;  // pixels times bytes: as many scans do

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static bit::test::JpegWays ways;
  const auto jpeg = std::as_bytes(std::span(data, size));
  const std::uint64_t max_pixels = std::min(kMaxPixels, kMaxWork / std::max<std::size_t>(size, 1));
  // The crop follows from the last byte, which belongs to no image that is whole, and the size.
  const std::uint32_t choice =
      size == 0 ? 0 : data[size - 1] * 2654435761U + static_cast<std::uint32_t>(size);
  const auto result = ways.compare(jpeg, choice, max_pixels);
  bit::test::fuzz_check(result.broken == nullptr, result.broken);
  return 0;
}
