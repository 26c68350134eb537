// JPEG to a square of RGB: decodes little (only the rows and columns of the crop), feeds the rows
// into the fused resize, and writes uint8 NHWC into the caller's slot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "pipeline/crop.h"

namespace bit::pipeline {

struct ImageSize {
  std::uint32_t width = 0, height = 0;  // pixels
  bool operator==(const ImageSize&) const = default;
};

struct RgbImage {
  std::uint32_t width = 0, height = 0;
  std::vector<std::uint8_t> pixels;  // [height, width, 3]
};

// The pixels are the same. kFastest: our own decoder (jpeg/strip_decoder.h) for the files that it
// knows, libjpeg-turbo (jpeg/libjpeg_decoder.h) for all others and whenever there is damage to
// judge. kLibjpeg: libjpeg-turbo for all, which the other way is measured against.
enum class JpegMethod { kFastest, kLibjpeg };

// One per thread. Any JPEG that libjpeg-turbo reads: baseline and progressive, Huffman and
// arithmetic, any subsampling, grey, CMYK and YCCK (Adobe's inverted form told apart by its marker;
// to RGB as Pillow does). Always the accurate inverse DCT and smooth upsampling. EXIF orientation
// is ignored, as TensorFlow, Pillow and torchvision do. All methods throw storage::DataError with
// the reason alone, and std::bad_alloc; the decoder is then ready for the next image.
//
// Damage is what is met on the way: rows below the crop are not decoded, so damage there is not
// seen, nor is a missing end marker of a baseline file. The record's checksum guards the rest.
//
// Memory, libjpeg's too, stays from image to image: decode() takes none from the heap unless an
// image needs more than all before it. What a very large image needs beyond 64 MiB is given back.
// No image depends on those before it.
class JpegDecoder {
 public:
  explicit JpegDecoder(JpegMethod method = JpegMethod::kFastest);
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  // Reads the header; `jpeg` has to stay alive until decode() returns. Refuses images over 65500 a
  // side or 2^28 pixels.
  ImageSize open(std::span<const std::byte> jpeg);
  // Of the opened image as it is stored: 1 (grey), 3, or 4 (CMYK, YCCK).
  int components() const;
  // The opened image, cut and resized as `plan` says, into out [size, size, 3]: the pixels that
  // cutting and resizing the whole would give (see RowResizer). A file cut short or with damaged
  // data is an error, not a grey area. Throws std::invalid_argument for a plan outside of the
  // image.
  void decode(const ImagePlan& plan, std::uint32_t size, std::span<std::uint8_t> out);
  // The opened image whole, as RGB.
  RgbImage decode_full();
  // An image is decoded once, by either method; open() it again for more (else std::logic_error).

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bit::pipeline
