// Large photographs made smaller before they are stored.
#pragma once

#include <cstdint>

#include "pipeline/jpeg.h"

namespace bit::pipeline {

// `size` with its longer side made `max_side` when it is longer than that; the other side in
// proportion, rounded half up, at least 1. Never enlarges; `max_side` 0 is no limit.
ImageSize limited_size(ImageSize size, std::uint32_t max_side);

// Antialiased: Pillow's resize(..., BILINEAR), see RowResizer.
RgbImage downscale(const RgbImage& image, ImageSize size);

}  // namespace bit::pipeline
