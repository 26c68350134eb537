// Which part of an image is used, and whether it is mirrored.
#pragma once

#include <cstdint>

#include "pipeline/random.h"

namespace bit::pipeline {

struct CropBox {
  std::uint32_t x = 0, y = 0, width = 0, height = 0;  // pixels of the image
  bool operator==(const CropBox&) const = default;
};

// What happens to an image of width x height between its file and its slot: `crop` is cut out,
// resized (antialiased) to resized_width x resized_height, and of that the output square at
// (offset_x, offset_y) is kept.
struct ImagePlan {
  CropBox crop;
  std::uint32_t resized_width = 0, resized_height = 0;
  std::uint32_t offset_x = 0, offset_y = 0;
  bool flip = false;
};

struct InceptionCropOptions {
  double area_min = 0.05, area_max = 1.0;  // share of the image's area
  double aspect_min = 0.75, aspect_max = 4.0 / 3.0;
  bool flip = true;
};

// Inception crop (Szegedy et al. 2015; big_vision's inception_crop): up to 10 draws of area and
// log-uniform aspect, then the largest centre crop with an allowed aspect. The whole plan is a
// function of the stream. `size`: output side in pixels.
ImagePlan inception_crop(std::uint32_t width, std::uint32_t height, std::uint32_t size,
                         const InceptionCropOptions& options, RandomStream random);

// Short side resized to `resize` pixels, the long side in proportion (rounded), centre square of
// `size` <= `resize` kept. `crop` is the whole image, so that pixels near the square's edges get
// the same filter as in a resize of everything; the resizer skips what does not reach the square.
ImagePlan centre_crop(std::uint32_t width, std::uint32_t height, std::uint32_t resize,
                      std::uint32_t size);

}  // namespace bit::pipeline
