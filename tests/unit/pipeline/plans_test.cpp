#include "pipeline/plans.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace bit::pipeline {
namespace {

TEST(TrainingPlan, cuts_as_its_options_say_by_seed_epoch_and_record) {
  const PlanImage inception =
      training_plan(5, 224, InceptionCropOptions{.filter = ResizeFilter::kBilinear});
  const ImagePlan plan = inception(500, 375, 2, 77);
  const ImagePlan expected = inception_crop(500, 375, 224, {}, RandomStream(5, 2, 77));
  EXPECT_EQ(plan.crop, expected.crop);
  EXPECT_EQ(plan.flip, expected.flip);
  EXPECT_EQ(plan.filter, ResizeFilter::kBilinear);
  EXPECT_EQ(expected.filter, ResizeFilter::kTriangle);

  const ResizeCropOptions options{.resize = 160};
  const PlanImage transfer = training_plan(5, 128, options);
  const ImagePlan drawn = transfer(32, 32, 2, 77);
  const ImagePlan same = resize_random_crop(32, 32, 128, options, RandomStream(5, 2, 77));
  EXPECT_EQ(drawn.resized_width, 160U);
  EXPECT_EQ(drawn.offset_x, same.offset_x);
  EXPECT_EQ(drawn.offset_y, same.offset_y);
  EXPECT_EQ(drawn.filter, ResizeFilter::kTriangle);
}

TEST(TrainingPlan, refuses_a_crop_larger_than_the_resized_image) {
  EXPECT_THROW(training_plan(0, 128, ResizeCropOptions{.resize = 127}), std::invalid_argument);
  EXPECT_NO_THROW(training_plan(0, 128, ResizeCropOptions{.resize = 128}));
}

TEST(EvaluationPlan, is_the_centre_crop_or_the_whole_image) {
  const ImagePlan centre = evaluation_plan(256, 224)(500, 375, 0, 0);
  EXPECT_EQ(centre.resized_height, 256U);
  EXPECT_EQ(centre.offset_y, 16U);
  EXPECT_EQ(centre.filter, ResizeFilter::kTriangle);
  const ImagePlan whole = evaluation_plan(0, 480, ResizeFilter::kBilinear)(500, 375, 0, 0);
  EXPECT_EQ(whole.resized_width, 480U);
  EXPECT_EQ(whole.resized_height, 480U);
  EXPECT_EQ(whole.filter, ResizeFilter::kBilinear);
  EXPECT_THROW(evaluation_plan(223, 224), std::invalid_argument);
}

}  // namespace
}  // namespace bit::pipeline
