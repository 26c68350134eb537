#include "pipeline/convert/thumbnail.h"

#include "pipeline/convert/downscale.h"
#include "pipeline/convert/encode_jpeg.h"

namespace bit::pipeline {
namespace {

// For people to look at: small before exact.
constexpr EncodeOptions kEncoding{
    .quality = 85, .subsampling = Subsampling::k420, .restart_intervals = false};

}  // namespace

RgbImage shrink(const RgbImage& image, std::uint32_t side) {
  const ImageSize size{image.width, image.height};
  const ImageSize small = limited_size(size, side);
  return small == size ? image : downscale(image, small);
}

std::vector<std::byte> thumbnail(const RgbImage& image, std::uint32_t side) {
  return encode_jpeg(shrink(image, side), kEncoding);
}

}  // namespace bit::pipeline
