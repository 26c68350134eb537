// Which part of an image is used; see crop.h.
#include "pipeline/crop.h"

#include <algorithm>
#include <cmath>

namespace bit::pipeline {
namespace {

constexpr int kDraws = 10;

// The largest centred box whose aspect (width / height) is allowed.
CropBox largest_centre_box(std::uint32_t width, std::uint32_t height,
                           const InceptionCropOptions& options) {
  const double aspect = static_cast<double>(width) / height;
  CropBox box{0, 0, width, height};
  if (aspect < options.aspect_min) {
    box.height = static_cast<std::uint32_t>(std::lround(width / options.aspect_min));
  } else if (aspect > options.aspect_max) {
    box.width = static_cast<std::uint32_t>(std::lround(height * options.aspect_max));
  }
  box.width = std::clamp(box.width, 1U, width);
  box.height = std::clamp(box.height, 1U, height);
  box.x = (width - box.width) / 2;
  box.y = (height - box.height) / 2;
  return box;
}

CropBox draw_box(std::uint32_t width, std::uint32_t height, const InceptionCropOptions& options,
                 RandomStream& random) {
  const double image_area = static_cast<double>(width) * height;
  const double log_low = std::log(options.aspect_min), log_high = std::log(options.aspect_max);
  for (int draw = 0; draw < kDraws; ++draw) {
    const double area = image_area * random.uniform(options.area_min, options.area_max);
    const double aspect = std::exp(random.uniform(log_low, log_high));
    const double box_width = std::round(std::sqrt(area * aspect));
    const double box_height = std::round(std::sqrt(area / aspect));
    if (box_width < 1 || box_height < 1 || box_width > width || box_height > height) continue;
    CropBox box;
    box.width = static_cast<std::uint32_t>(box_width);
    box.height = static_cast<std::uint32_t>(box_height);
    box.x = random.below(width - box.width + 1);
    box.y = random.below(height - box.height + 1);
    return box;
  }
  return largest_centre_box(width, height, options);
}

}  // namespace

std::uint32_t most_shrink(const ImagePlan& plan) {
  if (plan.filter != ResizeFilter::kTriangle) return 1;
  for (const std::uint32_t shrink : {4U, 2U}) {
    const std::uint64_t least = 2 * shrink;  // pixels across for each of the output's
    if (plan.crop.width >= least * plan.resized_width &&
        plan.crop.height >= least * plan.resized_height) {
      return shrink;
    }
  }
  return 1;
}

ImagePlan inception_crop(std::uint32_t width, std::uint32_t height, std::uint32_t size,
                         const InceptionCropOptions& options, RandomStream random) {
  ImagePlan plan;
  plan.crop = draw_box(width, height, options, random);
  plan.resized_width = size;
  plan.resized_height = size;
  plan.flip = options.flip && random.below(2) == 1;
  plan.filter = options.filter;
  plan.shrink = most_shrink(plan);
  return plan;
}

ImagePlan resize_random_crop(std::uint32_t width, std::uint32_t height, std::uint32_t size,
                             const ResizeCropOptions& options, RandomStream random) {
  ImagePlan plan = square_resize(width, height, options.resize);
  plan.offset_x = random.below(options.resize - size + 1);
  plan.offset_y = random.below(options.resize - size + 1);
  plan.flip = options.flip && random.below(2) == 1;
  plan.filter = options.filter;
  plan.shrink = most_shrink(plan);
  return plan;
}

ResizeAndCrop hyper_rule_sizes(std::uint32_t width, std::uint32_t height) {
  const bool small = std::uint64_t{width} * height < 96 * 96;
  return small ? ResizeAndCrop{160, 128} : ResizeAndCrop{512, 480};
}

std::uint32_t hyper_rule_resize(std::uint32_t size) {
  switch (size) {
    case 128:
      return 160;
    case 384:
      return 448;
    case 480:
      return 512;
    default:
      return static_cast<std::uint32_t>((std::uint64_t{size} * 16 + 7) / 14);
  }
}

ImagePlan centre_crop(std::uint32_t width, std::uint32_t height, std::uint32_t resize,
                      std::uint32_t size) {
  const std::uint64_t short_side = std::min(width, height);
  const auto resized = [&](std::uint32_t side) {  // side * resize / short side, rounded
    return static_cast<std::uint32_t>((2 * std::uint64_t{side} * resize + short_side) /
                                      (2 * short_side));
  };
  ImagePlan plan;
  plan.crop = {0, 0, width, height};
  plan.resized_width = resized(width);
  plan.resized_height = resized(height);
  plan.offset_x = (plan.resized_width - size) / 2;
  plan.offset_y = (plan.resized_height - size) / 2;
  return plan;
}

ImagePlan square_resize(std::uint32_t width, std::uint32_t height, std::uint32_t size) {
  ImagePlan plan;
  plan.crop = {0, 0, width, height};
  plan.resized_width = plan.resized_height = size;
  return plan;
}

}  // namespace bit::pipeline
