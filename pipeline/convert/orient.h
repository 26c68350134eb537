// Pictures turned upright, by the meaning that exif.h gives to 1 to 8.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/jpeg.h"

namespace bit::pipeline {

// Pixel by pixel.
RgbImage orient(const RgbImage& image, unsigned orientation);

// A JPEG of 1 or 3 components turned by moving its coefficients, so that nothing is lost; without
// metadata. Nothing when that cannot be: a side that would have to start with a partial block, or
// an unusual subsampling. `jpeg` has to be whole and undamaged.
std::optional<std::vector<std::byte>> orient_jpeg(std::span<const std::byte> jpeg,
                                                  unsigned orientation);

}  // namespace bit::pipeline
