#include "pipeline/convert/downscale.h"

#include <algorithm>
#include <vector>

#include "pipeline/resize.h"

namespace bit::pipeline {

ImageSize limited_size(ImageSize size, std::uint32_t max_side) {
  const std::uint64_t longer = std::max(size.width, size.height);
  if (max_side == 0 || longer <= max_side) return size;
  const auto scaled = [&](std::uint64_t side) {
    return static_cast<std::uint32_t>(
        std::max<std::uint64_t>((2 * side * max_side + longer) / (2 * longer), 1));
  };
  return {scaled(size.width), scaled(size.height)};
}

RgbImage downscale(const RgbImage& image, ImageSize size) {
  RgbImage out{size.width, size.height, {}};
  out.pixels.resize(std::size_t{size.width} * size.height * 3);
  RowResizer resizer;
  resizer.begin({.crop = {0, 0, image.width, image.height},
                 .resized_width = size.width,
                 .resized_height = size.height},
                size.width, size.height, out.pixels);
  resizer.push_image(image.pixels.data(), image.width);
  return out;
}

}  // namespace bit::pipeline
