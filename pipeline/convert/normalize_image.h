// What becomes of an image on its way into a record: always a JPEG that has been decoded once and
// that every reader can decode; as little changed as the options allow.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/convert/encode_jpeg.h"
#include "pipeline/jpeg.h"

namespace bit::pipeline {

enum class JpegMode {
  kKeep,      // bytes as they are, whatever JpegDecoder reads: CMYK too
  kLossless,  // same pixels, rewritten by transcode_jpeg(); CMYK and YCCK encoded anew as RGB
  kLossy,     // decoded and encoded anew
};

// An image that is not a JPEG is always encoded, with `quality` and `subsampling`, as is one that
// `max_side` makes smaller, and one that `apply_exif` turns but cannot turn without loss.
struct NormalizeOptions {
  JpegMode jpeg = JpegMode::kLossless;
  bool restart_intervals = true;  // see TranscodeOptions
  // Turns JPEGs upright as their EXIF says, in kKeep too; only JPEG's EXIF is looked at. False: the
  // orientation is dropped with the other metadata and the pixels stay as they are stored, as
  // TensorFlow, Pillow and torchvision take them.
  bool apply_exif = false;
  int quality = 95;  // 1 to 100
  Subsampling subsampling = Subsampling::k444;
  std::uint32_t max_side = 0;  // pixels of the longer side, see limited_size(); 0: no limit
};

// Two independent halves of 64 bits; equal for equal pixels of equal size, whatever the file.
using ContentHash = std::array<std::uint64_t, 2>;

// XXH3 with 128 bits of the pixels, seeded with width << 32 | height; the high half first.
ContentHash content_hash(const RgbImage& image);

struct NormalizedImage {
  std::vector<std::byte> bytes;         // JPEG
  std::uint32_t width = 0, height = 0;  // pixels, of `bytes`
  // Of the image as it came in: before it was turned, made smaller or encoded.
  ContentHash content_hash = {};
};

// One per thread. The same file and options always give the same bytes.
class ImageNormalizer {
 public:
  explicit ImageNormalizer(const NormalizeOptions& options) : options_(options) {}

  // Any kind that decode_image() knows; the kind is told by the bytes. A JPEG is checked by
  // decoding the result whole, with the decoder that training uses. Throws storage::DataError with
  // the reason alone for what is no image, damaged, or cut short; the next file can then be given.
  NormalizedImage normalize(std::span<const std::byte> file);

 private:
  NormalizedImage normalize_jpeg(std::span<const std::byte> file);
  NormalizedImage encode(const RgbImage& image, unsigned orientation);

  NormalizeOptions options_;
  JpegDecoder decoder_;
};

}  // namespace bit::pipeline
