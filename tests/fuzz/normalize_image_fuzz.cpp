// Any bytes as an image to convert: refused with a reason, or rewritten with the same pixels.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "pipeline/convert/normalize_image.h"
#include "storage/tfrecord.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bit::pipeline;
  const auto file = std::as_bytes(std::span(data, size));
  JpegDecoder decoder;
  std::vector<std::uint8_t> original;
  try {
    const ImageSize image = decoder.open(file);
    if (std::uint64_t{image.width} * image.height > (1u << 20)) return 0;    // slow, not wrong
    if (decoder.components() != 4) original = decoder.decode_full().pixels;  // those become RGB
  } catch (const bit::storage::DataError&) {
  }
  try {
    const NormalizedImage image = ImageNormalizer({}).normalize(file);
    decoder.open(image.bytes);
    const auto pixels = decoder.decode_full().pixels;
    if (!original.empty() && pixels != original) std::abort();
  } catch (const bit::storage::DataError&) {
  }
  return 0;
}
