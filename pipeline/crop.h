// Which part of an image is used, and whether it is mirrored.
#pragma once

#include <cstdint>
#include <variant>

#include "pipeline/random.h"

namespace bit::pipeline {

struct CropBox {
  std::uint32_t x = 0, y = 0, width = 0, height = 0;  // pixels of the image
  bool operator==(const CropBox&) const = default;
};

enum class ResizeFilter {
  // A triangle as wide as the scale, so that shrinking averages: Pillow's BILINEAR, torchvision
  // with
  // antialias.
  kTriangle,
  // Between the two nearest samples whatever the scale, with half-pixel centres and edges repeated:
  // TensorFlow 2's tf.image.resize(method="bilinear", antialias=False). It shrinks by leaving out,
  // so nothing may scale the image down before it.
  kBilinear,
};

// What happens to an image of width x height between its file and its slot: `crop` is cut out,
// resized to resized_width x resized_height, and of that the output square at (offset_x, offset_y)
// is kept. `shrink`: the file is decoded to 1/shrink of its sides (1, 2 or 4, sides rounded up),
// which a JPEG can do at less cost than whole, and the same part of that is resized.
struct ImagePlan {
  CropBox crop;
  std::uint32_t resized_width = 0, resized_height = 0;
  std::uint32_t offset_x = 0, offset_y = 0;
  bool flip = false;
  ResizeFilter filter = ResizeFilter::kTriangle;
  std::uint32_t shrink = 1;
};

// The most that `plan` may shrink and still average at least two samples across and down for each
// of its output's; 1 with kBilinear. Training's plans shrink so, evaluation's never do.
std::uint32_t most_shrink(const ImagePlan& plan);

struct InceptionCropOptions {
  double area_min = 0.05, area_max = 1.0;  // share of the image's area
  double aspect_min = 0.75, aspect_max = 4.0 / 3.0;
  bool flip = true;
  ResizeFilter filter = ResizeFilter::kTriangle;
};

// Inception crop (Szegedy et al. 2015; big_vision's inception_crop): up to 10 draws of area and
// log-uniform aspect, then the largest centre crop with an allowed aspect. The whole plan is a
// function of the stream. `size`: output side in pixels.
ImagePlan inception_crop(std::uint32_t width, std::uint32_t height, std::uint32_t size,
                         const InceptionCropOptions& options, RandomStream random);

struct ResizeCropOptions {
  std::uint32_t resize = 0;  // pixels of both sides before the crop
  bool flip = true;          // VTAB goes without where left and right are the answer
  ResizeFilter filter = ResizeFilter::kTriangle;
};

// BiT-HyperRule (Kolesnikov et al. 2020, section 3.3): the image becomes a square of `resize`
// pixels, aspect not kept, and a random square of `size` <= `resize` of it is the output, mirrored
// half of the time. (The released TF2 and JAX pipeline mirrors always, by mistake.) With `resize` =
// `size` nothing is cut away: VTAB's tasks without random crop.
ImagePlan resize_random_crop(std::uint32_t width, std::uint32_t height, std::uint32_t size,
                             const ResizeCropOptions& options, RandomStream random);

using TrainingCrop = std::variant<InceptionCropOptions, ResizeCropOptions>;

struct ResizeAndCrop {
  std::uint32_t resize = 0, crop = 0;  // pixels of a side
  bool operator==(const ResizeAndCrop&) const = default;
};

// The HyperRule's choice for a dataset whose images are typically width x height: 160 and 128 below
// an area of 96 x 96, else 512 and 480 (google-research/big_transfer, bit_hyperrule.py; the paper
// says 448 and 384 but for R152x4).
ResizeAndCrop hyper_rule_sizes(std::uint32_t width, std::uint32_t height);
// What an image is resized to before a random crop of `size`: the HyperRule's 160, 448 and 512 for
// 128, 384 and 480; other sizes are 7/8 of it, rounded.
std::uint32_t hyper_rule_resize(std::uint32_t size);

// Short side resized to `resize` pixels, the long side in proportion (rounded), centre square of
// `size` <= `resize` kept. `crop` is the whole image, so that pixels near the square's edges get
// the same filter as in a resize of everything; the resizer skips what does not reach the square.
ImagePlan centre_crop(std::uint32_t width, std::uint32_t height, std::uint32_t resize,
                      std::uint32_t size);

// The whole image as a square of `size` pixels, aspect not kept: the HyperRule's evaluation.
ImagePlan square_resize(std::uint32_t width, std::uint32_t height, std::uint32_t size);

}  // namespace bit::pipeline
