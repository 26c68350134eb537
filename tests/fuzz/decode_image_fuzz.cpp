// Any bytes as an image: refused with a reason, or made a JPEG of the size that is stated, in each
// way of asking for it.
#include <cstdint>
#include <span>

#include "pipeline/convert/decode_image.h"
#include "pipeline/convert/normalize_image.h"
#include "storage/tfrecord.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace bit::pipeline;
using bit::test::fuzz_check;

constexpr std::uint64_t kMaxPixels = 1u << 18;  // larger images only cost time
constexpr std::uint32_t kMaxSide = 24;

void check(std::span<const std::byte> file, const NormalizeOptions& options) {
  static JpegDecoder decoder;
  try {
    const NormalizedImage image = ImageNormalizer(options).normalize(file);
    const ImageSize size = decoder.open(image.bytes);
    fuzz_check(size == ImageSize{image.width, image.height}, "the size that was stated");
    if (options.max_side != 0) {
      fuzz_check(size.width <= kMaxSide && size.height <= kMaxSide, "the size that was asked for");
    }
    try {
      decoder.decode_full();
    } catch (const bit::storage::DataError& error) {
      fuzz_check(false, error.what());  // the result can always be decoded
    }
  } catch (const bit::storage::DataError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  JpegDecoder decoder;
  try {
    if (image_kind(file) == ImageKind::kJpeg) {
      const ImageSize image = decoder.open(file);
      const std::uint64_t pixels = std::uint64_t{image.width} * image.height;
      if (pixels > kMaxPixels || pixels * size > (1u << 26)) return 0;  // as many scans cost time
    } else {
      const RgbImage image = decode_image(file, decoder);
      fuzz_check(image.pixels.size() == std::size_t{image.width} * image.height * 3, "all pixels");
      if (image.pixels.size() > kMaxPixels * 3) return 0;
    }
  } catch (const bit::storage::DataError&) {
    return 0;
  }
  check(file, {.apply_exif = true});
  check(file, {.jpeg = JpegMode::kKeep, .apply_exif = true, .max_side = kMaxSide});
  check(file, {.jpeg = JpegMode::kLossy,
               .restart_intervals = false,
               .quality = 60,
               .subsampling = Subsampling::k420});
  return 0;
}
