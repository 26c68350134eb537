// A small JPEG of an image, for people to look at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pipeline/jpeg.h"

namespace bit::pipeline {

// The whole image, antialiased, its long side `side` > 0 pixels; smaller images keep their size.
RgbImage shrink(const RgbImage& image, std::uint32_t side);

// shrink(), as JPEG of quality 85. Throws storage::DataError when libjpeg cannot (no memory).
std::vector<std::byte> thumbnail(const RgbImage& image, std::uint32_t side);

}  // namespace bit::pipeline
