// Resize of an image's rows as they are decoded: the crop is never held whole. With kTriangle the
// result is that of Pillow's Image.crop(...).resize(..., BILINEAR) (src/libImaging/Resample.c),
// byte for byte when Pillow takes columns before rows, as it always did until it chose the cheaper
// order: weights of 22 bits, 8 bits between the passes. With kBilinear it is tf.image.resize's
// within one level: both passes round to a byte where TensorFlow's float is kept as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/crop.h"
#include "pipeline/resize_simd.h"

namespace bit::pipeline {

// What each of `samples` output samples takes from one axis of the crop.
struct AxisTaps {
  std::vector<std::uint32_t> first;   // [samples] first input sample, counted from the crop's edge
  std::vector<std::uint32_t> count;   // [samples] > 0
  std::vector<std::int32_t> weights;  // [samples, stride]; kWeightOne is 1
  std::uint32_t stride = 0;

  // What is resized: `length` samples from `start`, which may be fractions, of `input` samples.
  struct Part {
    double start = 0, length = 0;
    std::uint32_t input = 0;
  };

  // The part becomes `resized` samples, of which [offset, offset + samples) are wanted. Memory only
  // grows.
  void compute(ResizeFilter filter, const Part& part, std::uint32_t resized, std::uint32_t offset,
               std::uint32_t samples);

 private:
  void triangle(const Part& part, double scale, std::uint32_t offset);
  void bilinear(const Part& part, double scale, std::uint32_t offset);

  std::vector<double> scratch_;  // of one sample
};

// How the pixels of a row lie: [width, 3], or in planes [3, RowResizer::plane_bytes()] of which
// each is `width` long.
enum class RowLayout { kInterleaved, kPlanar };

// One per thread; allocates only when an image needs more than all before it.
class RowResizer {
 public:
  static constexpr std::size_t kPlaneUnit = 32;  // plane_bytes() is a multiple of it

  // Starts an image. `out` [height, width, 3] is borrowed until complete(). Throws
  // std::invalid_argument for a plan whose output is not inside the resized crop.
  void begin(const ImagePlan& plan, std::uint32_t width, std::uint32_t height,
             std::span<std::uint8_t> out, RowLayout layout = RowLayout::kInterleaved);
  // A square.
  void begin(const ImagePlan& plan, std::uint32_t size, std::span<std::uint8_t> out,
             RowLayout layout = RowLayout::kInterleaved) {
    begin(plan, size, size, out, layout);
  }
  // The pixels of the image, as much smaller as the plan says, that the output depends on: a part
  // of the crop.
  const CropBox& source() const { return source_; }
  // Where the next row of source(), from its top, is to be written before push_row(); nullptr: the
  // output does not depend on it.
  std::uint8_t* row();
  std::size_t plane_bytes() const { return plane_bytes_; }  // of kPlanar
  void push_row();
  // The same from memory of its own, [source().width, 3] uint8.
  void push_row(const std::uint8_t* row);
  // All rows of source(), from the whole image [*, width, 3].
  void push_image(const std::uint8_t* image, std::uint32_t width);
  bool complete() const { return next_ == height_; }

 private:
  void plan_columns(bool flip, RowLayout layout);
  void plan_rows();
  void filter_group();
  void emit_row();

  CropBox source_;
  std::uint32_t width_ = 0, height_ = 0;   // of the output, pixels
  std::uint32_t pushed_ = 0, filled_ = 0;  // rows so far; of kept_
  std::uint32_t next_ = 0;                 // output row
  std::span<std::uint8_t> out_;
  AxisTaps columns_, rows_;          // rows_.first counts in kept_
  std::vector<std::uint32_t> kept_;  // rows of source() that the output depends on, ascending
  RowFilter row_filter_;
  std::vector<std::uint8_t> group_;  // [kGroupRows, group_stride_] rows to be filtered together
  std::size_t group_stride_ = 0, plane_bytes_ = 0;
  std::vector<std::uint8_t> group_columns_;
  std::vector<std::uint8_t>
      ring_;  // [ring_rows_, ring_stride_] filtered rows; a power of two of them
  std::uint32_t ring_rows_ = 0;
  std::size_t ring_stride_ = 0;  // bytes
  std::vector<RowPair> pairs_;   // of the row being emitted
};

// The same in the plainest way, from a whole image [*, width, 3], as much smaller as the plan says:
// what RowResizer must equal.
void resize_reference(const std::uint8_t* image, std::uint32_t width, const ImagePlan& plan,
                      std::uint32_t size, std::span<std::uint8_t> out);

}  // namespace bit::pipeline
