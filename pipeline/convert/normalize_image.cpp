#include "pipeline/convert/normalize_image.h"

#include <xxhash.h>

#include "pipeline/convert/decode_image.h"
#include "pipeline/convert/downscale.h"
#include "pipeline/convert/exif.h"
#include "pipeline/convert/jpeg_transcode.h"
#include "pipeline/convert/orient.h"

namespace bit::pipeline {
ContentHash content_hash(const RgbImage& image) {
  const std::uint64_t seed = std::uint64_t{image.width} << 32 | image.height;
  const XXH128_hash_t hash = XXH3_128bits_withSeed(image.pixels.data(), image.pixels.size(), seed);
  return {hash.high64, hash.low64};
}

NormalizedImage ImageNormalizer::normalize(std::span<const std::byte> file) {
  if (image_kind(file) == ImageKind::kJpeg) return normalize_jpeg(file);
  return encode(decode_image(file, decoder_), 1);
}

NormalizedImage ImageNormalizer::normalize_jpeg(std::span<const std::byte> file) {
  const ImageSize size = decoder_.open(file);
  const unsigned orientation = options_.apply_exif ? exif_orientation(file) : 1;
  const bool four = decoder_.components() == 4;
  const bool kept = options_.jpeg == JpegMode::kKeep && orientation == 1;
  if (options_.jpeg == JpegMode::kLossy || limited_size(size, options_.max_side) != size ||
      (four && !kept)) {
    return encode(decoder_.decode_full(), orientation);
  }
  const TranscodeOptions transcoding{.restart_intervals = options_.restart_intervals};
  NormalizedImage result{.bytes = kept ? std::vector(file.begin(), file.end())
                                       : transcode_jpeg(file, transcoding)};
  decoder_.open(result.bytes);
  RgbImage image = decoder_.decode_full();
  result.content_hash = content_hash(image);
  if (orientation != 1) {
    const auto turned = orient_jpeg(result.bytes, orientation);
    if (!turned) return encode(image, orientation);
    result.bytes = transcode_jpeg(*turned, transcoding);
    decoder_.open(result.bytes);
    image = decoder_.decode_full();
  }
  result.width = image.width;
  result.height = image.height;
  return result;
}

NormalizedImage ImageNormalizer::encode(const RgbImage& image, unsigned orientation) {
  const RgbImage* stored = &image;
  RgbImage turned, smaller;
  if (orientation != 1) stored = &(turned = orient(*stored, orientation));
  const ImageSize size = limited_size({stored->width, stored->height}, options_.max_side);
  if (size != ImageSize{stored->width, stored->height}) {
    stored = &(smaller = downscale(*stored, size));
  }
  return {.bytes = encode_jpeg(
              *stored, {options_.quality, options_.subsampling, options_.restart_intervals}),
          .width = size.width,
          .height = size.height,
          .content_hash = content_hash(image)};
}

}  // namespace bit::pipeline
