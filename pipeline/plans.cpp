// How the images of a run are cut; see plans.h.
#include "pipeline/plans.h"

#include <stdexcept>
#include <string>

namespace bit::pipeline {
namespace {

void check_fits(const char* square, std::uint32_t size, const char* place, std::uint32_t resize) {
  if (resize >= size) return;
  throw std::invalid_argument(std::string(square) + " of " + std::to_string(size) +
                              " pixels does not fit into " + place + " of " +
                              std::to_string(resize));
}

}  // namespace

PlanImage training_plan(std::uint64_t seed, std::uint32_t image_size, const TrainingCrop& crop) {
  if (const auto* inception = std::get_if<InceptionCropOptions>(&crop)) {
    return [=, options = *inception](std::uint32_t width, std::uint32_t height, std::uint64_t epoch,
                                     std::uint64_t record) {
      return inception_crop(width, height, image_size, options, RandomStream(seed, epoch, record));
    };
  }
  const auto options = std::get<ResizeCropOptions>(crop);
  check_fits("a random square", image_size, "a side", options.resize);
  return [=](std::uint32_t width, std::uint32_t height, std::uint64_t epoch, std::uint64_t record) {
    return resize_random_crop(width, height, image_size, options,
                              RandomStream(seed, epoch, record));
  };
}

PlanImage evaluation_plan(std::uint32_t resize, std::uint32_t image_size, ResizeFilter filter) {
  if (resize > 0) check_fits("a centre square", image_size, "a short side", resize);
  return [=](std::uint32_t width, std::uint32_t height, std::uint64_t, std::uint64_t) {
    ImagePlan plan = resize > 0 ? centre_crop(width, height, resize, image_size)
                                : square_resize(width, height, image_size);
    plan.filter = filter;
    return plan;
  };
}

}  // namespace bit::pipeline
