// The ordinary JPEG (one Huffman-coded scan, 8 bits, grey or three colours, chroma whole or halved)
// decoded by our own code: only the MCUs that a crop needs, and where the file has restart
// intervals, only from the one before each row of them. The pixels are those of libjpeg-turbo's
// full decode with accurate inverse DCT and smooth upsampling.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/crop.h"
#include "pipeline/jpeg/ac_codes.h"
#include "pipeline/jpeg/header.h"
#include "pipeline/jpeg/huffman.h"
#include "pipeline/jpeg/scan_decoder.h"

namespace bit::pipeline {

// One per thread; memory is reused from image to image. It judges nothing: what it does not know,
// or finds damaged, is for libjpeg.
class StripDecoder {
 public:
  // Reads the header; `jpeg` has to stay alive while rows are read. False: not for this decoder.
  bool open(std::span<const std::byte> jpeg);
  const JpegHeader& header() const { return header_; }  // of the opened image

  // Starts with the rows of `box`, which lies in the image shrunk by `scale` (1, 2 or 4; sides are
  // rounded up), as libjpeg shrinks it in the inverse DCT. May be called again. False: not for
  // this decoder.
  bool begin(const CropBox& box, std::uint32_t scale = 1);
  // The next row, one plane after the other: red, green and blue, `plane_bytes` each, a multiple of
  // kColorUnit that has room for the box's width. `planes` nullptr: goes over it. False: not for
  // this decoder.
  bool next_row(std::uint8_t* planes, std::size_t plane_bytes);
  // The next row: [box.width, 3] RGB, good until the next call. nullptr: not for this decoder.
  const std::uint8_t* next_row();

 private:
  static constexpr std::size_t kGroup = 2;     // rows of MCUs decoded together
  static constexpr std::size_t kRingRows = 4;  // of MCUs whose samples are kept

  struct Component {
    std::uint32_t horizontal = 1, vertical = 1;               // blocks in an MCU
    std::uint32_t size = 8;                                   // samples of a block across and down
    std::uint32_t width = 0, height = 0;                      // samples that the image has
    alignas(16) std::array<std::int16_t, 64> quantization{};  // by row
    std::size_t tiles = 0;                                    // of a row of blocks of the strip
    std::size_t stride = 0;             // bytes from one row of samples to the next
    std::vector<std::uint8_t> samples;  // [kRingRows * vertical * size, stride]
    std::uint32_t mcu_width() const { return horizontal * size; }  // samples
    std::uint32_t mcu_height() const { return vertical * size; }
  };

  bool prepare_components();
  bool prepare_codes();
  bool prepare_scale(std::uint32_t scale);
  void prepare_strip();
  bool decode_group();
  bool transform(std::int16_t* tiles, std::uint32_t mcu_row);
  void extend_edges(Component& component, std::uint32_t mcu_row);
  std::uint32_t last_mcu_row_of(std::uint32_t y) const;
  // Samples of row `row` of the component, from the strip's left edge.
  std::uint8_t* samples(Component& component, std::uint32_t row);
  // The component's samples of the image's row y, as many as pixels.
  const std::uint8_t* whole_row(std::size_t component, std::uint32_t y);

  JpegHeader header_;
  std::array<HuffmanDecoder, 4> dc_;
  std::array<AcCodes, 4> ac_;
  std::array<HuffmanTable, 4> dc_tables_, ac_tables_;  // that they are made of
  std::array<bool, 4> dc_known_{}, ac_known_{};
  Scan scan_;
  std::array<ScanStream, 2> streams_;
  std::uint32_t mcu_width_ = 8, mcu_height_ = 8;  // pixels of the shrunken image
  std::uint32_t width_ = 0, height_ = 0;          // of it
  std::array<Component, kMaxComponents> components_;

  CropBox box_;
  std::uint32_t y_ = 0;                   // of the next row, in the image
  std::uint32_t left_ = 0, columns_ = 0;  // of MCUs: the strip
  std::uint32_t next_mcu_row_ = 0, end_mcu_row_ = 0;
  // Of a group, with room to align them; zero between groups.
  std::vector<std::int16_t> tiles_;
  std::size_t row_coefficients_ = 0;
  std::vector<std::uint16_t> sums_;
  std::array<std::vector<std::uint8_t>, kMaxComponents> upsampled_;
  std::vector<std::uint8_t> planes_, rgb_;  // of a row
};

}  // namespace bit::pipeline
