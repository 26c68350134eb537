#include "launcher/plan_choices.h"

namespace bit::launcher {

pipeline::ResizeFilter filter_of(const schemas::DataConfig& data) {
  return data.antialias() ? pipeline::ResizeFilter::kTriangle : pipeline::ResizeFilter::kBilinear;
}

pipeline::TrainingCrop training_crop(const schemas::DataConfig& data) {
  if (data.crop() == "inception") {
    return pipeline::InceptionCropOptions{.area_min = data.crop_area_min(),
                                          .area_max = data.crop_area_max(),
                                          .aspect_min = data.crop_aspect_min(),
                                          .aspect_max = data.crop_aspect_max(),
                                          .flip = data.flip(),
                                          .filter = filter_of(data)};
  }
  const auto resize =
      data.resize() > 0 ? data.resize() : pipeline::hyper_rule_resize(data.image_size());
  return pipeline::ResizeCropOptions{
      .resize = resize, .flip = data.flip(), .filter = filter_of(data)};
}

trainer::KernelInitialization initialization_of(const schemas::ModelConfig& model) {
  if (model.initialization() == "glorot-uniform")
    return trainer::KernelInitialization::kGlorotUniform;
  if (model.initialization() == "lecun-normal") return trainer::KernelInitialization::kLecunNormal;
  return trainer::KernelInitialization::kHeNormal;
}

}  // namespace bit::launcher
