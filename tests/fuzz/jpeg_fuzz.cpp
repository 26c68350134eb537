// Any bytes: the decoder gives pixels or a DataError, and reads nothing outside of them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/jpeg.h"
#include "storage/tfrecord.h"

namespace {

constexpr std::uint32_t kSize = 16;             // output side, pixels
constexpr std::uint64_t kMaxPixels = 1U << 20;  // larger images only cost time
constexpr std::uint64_t kMaxWork = 1ULL << 26;  // pixels times bytes: as many scans do

// A crop somewhere in the image: a function of its size and of the number of bytes.
bit::pipeline::ImagePlan plan_of(bit::pipeline::ImageSize image, std::size_t bytes) {
  const auto choice = static_cast<std::uint32_t>(bytes);
  bit::pipeline::ImagePlan plan;
  plan.crop.x = choice % image.width;
  plan.crop.y = choice / 3 % image.height;
  plan.crop.width = std::max(1U, (image.width - plan.crop.x) / (1 + choice % 3));
  plan.crop.height = std::max(1U, (image.height - plan.crop.y) / (1 + choice % 2));
  plan.resized_width = kSize + choice % 5;
  plan.resized_height = kSize + choice % 7;
  plan.offset_x = choice % 5;
  plan.offset_y = choice % 7;
  plan.flip = choice % 2 == 0;
  return plan;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static bit::pipeline::JpegDecoder decoder;  // reused, as the loader does
  const auto jpeg = std::as_bytes(std::span(data, size));
  std::vector<std::uint8_t> out(std::size_t{kSize} * kSize * 3);
  try {
    const bit::pipeline::ImageSize image = decoder.open(jpeg);
    const std::uint64_t pixels = std::uint64_t{image.width} * image.height;
    if (pixels > kMaxPixels || pixels * size > kMaxWork) return 0;
    decoder.decode(plan_of(image, size), kSize, out);
  } catch (const bit::storage::DataError&) {
  }
  return 0;
}
