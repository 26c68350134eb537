// Settings that name one of several things, as the types of those things.
#pragma once

#include "pipeline/crop.h"
#include "schemas/config.pb.h"
#include "trainer/resnet_shape.h"

namespace bit::launcher {

pipeline::ResizeFilter filter_of(const schemas::DataConfig& data);
pipeline::TrainingCrop training_crop(const schemas::DataConfig& data);
trainer::KernelInitialization initialization_of(const schemas::ModelConfig& model);

}  // namespace bit::launcher
