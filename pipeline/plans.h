// How the images of a run are cut: crop.h's functions with a run's settings filled in.
#pragma once

#include <cstdint>
#include <functional>

#include "pipeline/crop.h"

namespace bit::pipeline {

// How an image is cut: `training_plan` or `evaluation_plan`. Called from decoder threads.
using PlanImage = std::function<ImagePlan(std::uint32_t width, std::uint32_t height,
                                          std::uint64_t epoch, std::uint64_t record)>;

// Plans with the random stream keyed by (seed, epoch, record). Throws std::invalid_argument when
// the crop does not fit into what the image is resized to.
PlanImage training_plan(std::uint64_t seed, std::uint32_t image_size, const TrainingCrop& crop);
// Short side to `resize`, centre square of image_size kept; with `resize` 0 the whole image becomes
// the square. Throws std::invalid_argument for any other resize < image_size.
PlanImage evaluation_plan(std::uint32_t resize, std::uint32_t image_size,
                          ResizeFilter filter = ResizeFilter::kTriangle);

}  // namespace bit::pipeline
