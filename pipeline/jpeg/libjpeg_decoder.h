// Any JPEG that libjpeg-turbo reads, row by row through its libjpeg API: crop and skip, so that
// little is decoded. Its errors leave by longjmp, which is confined to libjpeg_decoder.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "pipeline/crop.h"

namespace bit::pipeline {

// One per thread; it and all its memory are reused from image to image, and no image sees anything
// of the one before. Damage and what cannot be decoded throw storage::DataError with the reason
// alone, missing memory std::bad_alloc; the decoder is then ready for the next image.
class LibjpegDecoder {
 public:
  // Throws std::runtime_error when libjpeg is not the version that this was compiled for.
  LibjpegDecoder();
  ~LibjpegDecoder();
  LibjpegDecoder(const LibjpegDecoder&) = delete;
  LibjpegDecoder& operator=(const LibjpegDecoder&) = delete;

  // Reads the header; `jpeg` has to stay alive while rows are read. Refuses images over 65500 a
  // side or 2^28 pixels.
  void open(std::span<const std::byte> jpeg);
  // Of the opened image.
  std::uint32_t width() const;
  std::uint32_t height() const;
  int components() const;  // as it is stored: 1 (grey), 3, or 4 (CMYK, YCCK)

  // Starts with the rows of `box`, which lies in the opened image shrunk by `shrink` (1, 2 or 4;
  // sides are rounded up). Once for each open(). True: damage is an exception.
  bool begin(const CropBox& box, std::uint32_t shrink = 1);
  // The next row: [box.width, 3] RGB, good until the next call. The image's memory is given back
  // with the last one.
  const std::uint8_t* next_row();

 private:
  struct Session;
  std::unique_ptr<Session> session_;
  std::uint32_t width_ = 0, rows_left_ = 0;  // of the box
  std::size_t first_ = 0;                    // byte of row_ where the box begins
  std::vector<std::uint8_t> row_;            // as libjpeg gives it
  std::vector<std::uint8_t> rgb_;            // converted from CMYK
};

}  // namespace bit::pipeline
