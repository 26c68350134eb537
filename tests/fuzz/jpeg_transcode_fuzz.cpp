// Any bytes through the symbol transcoder: what it accepts, libjpeg's way must accept and write
// byte for byte the same, but for the end marker that may be missing.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/convert/jpeg_symbols.h"
#include "pipeline/jpeg/header.h"
#include "storage/tfrecord.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace bit::pipeline;
using bit::test::fuzz_check;

std::optional<std::vector<std::byte>> through_libjpeg(std::span<const std::byte> file,
                                                      const TranscodeOptions& options) {
  try {
    return transcode_with_libjpeg(file, options);
  } catch (const bit::storage::DataError&) {
    return std::nullopt;
  }
}

void check(std::span<const std::byte> file, const TranscodeOptions& options) {
  const auto symbols = transcode_symbols(file, options);
  if (!symbols) return;
  auto coefficients = through_libjpeg(file, options);
  if (!coefficients) {
    std::vector<std::byte> whole(file.begin(), file.end());
    whole.insert(whole.end(), {std::byte{0xFF}, std::byte{0xD9}});
    coefficients = through_libjpeg(whole, options);
  }
  fuzz_check(coefficients.has_value(), "libjpeg refuses what the symbols' way accepts");
  fuzz_check(*coefficients == *symbols, "the two ways give different bytes");
  fuzz_check(transcode_symbols(*symbols, options) == symbols, "twice is not as once");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  bit::pipeline::JpegHeader header;
  if (!read_jpeg_header(file, header)) return 0;
  if (std::uint64_t{header.width} * header.height > (1u << 20)) return 0;  // slow
  check(file, {.restart_intervals = true});
  check(file, {.restart_intervals = false});
  return 0;
}
