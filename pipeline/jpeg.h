// JPEG to a square of RGB: decodes little (only the rows and columns of the crop, libjpeg-turbo's
// crop and skip), feeds the rows into the fused resize, and writes uint8 NHWC into the caller's
// slot. longjmp is confined to jpeg.cpp.
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
};

struct RgbImage {
  std::uint32_t width = 0, height = 0;
  std::vector<std::uint8_t> pixels;  // [height, width, 3]
};

// One per thread; reused from image to image without allocation once warm. Any JPEG that
// libjpeg-turbo reads: baseline and progressive, 4:4:4 to 4:1:1, grey, CMYK and YCCK (Adobe's
// inverted form told apart by its marker). EXIF orientation is ignored, as TensorFlow, Pillow and
// torchvision do. All methods throw storage::DataError with the reason alone.
class JpegDecoder {
 public:
  JpegDecoder();
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  // Reads the header; `jpeg` has to stay alive until decode() returns. Refuses images over 65500 a
  // side or 2^28 pixels.
  ImageSize open(std::span<const std::byte> jpeg);
  // The opened image, cut and resized as `plan` says, into out [size, size, 3]. A file cut short or
  // with damaged data is an error, not a grey area.
  void decode(const ImagePlan& plan, std::uint32_t size, std::span<std::uint8_t> out);
  // The opened image whole, as RGB.
  RgbImage decode_full();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bit::pipeline
