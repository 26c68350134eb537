#include "pipeline/crop.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>

namespace bit::pipeline {
namespace {

TEST(InceptionCrop, stays_inside_the_image_and_keeps_area_and_aspect) {
  const InceptionCropOptions options;
  double area_sum = 0;
  int flips = 0;
  const int draws = 20'000;
  for (std::uint64_t record = 0; record < draws; ++record) {
    const ImagePlan plan = inception_crop(500, 375, 224, options, RandomStream(1, 0, record));
    ASSERT_GE(plan.crop.width, 1U);
    ASSERT_GE(plan.crop.height, 1U);
    ASSERT_LE(plan.crop.x + plan.crop.width, 500U);
    ASSERT_LE(plan.crop.y + plan.crop.height, 375U);
    EXPECT_EQ(plan.resized_width, 224U);
    EXPECT_EQ(plan.resized_height, 224U);
    EXPECT_EQ(plan.offset_x, 0U);
    EXPECT_EQ(plan.offset_y, 0U);
    const double area = plan.crop.width * plan.crop.height / (500.0 * 375.0);
    const double aspect = plan.crop.width / static_cast<double>(plan.crop.height);
    ASSERT_GT(area, 0.045);
    ASSERT_LE(area, 1.0);
    ASSERT_GT(aspect, 0.72);
    ASSERT_LT(aspect, 1.39);
    area_sum += area;
    flips += plan.flip ? 1 : 0;
  }
  // Area is uniform in [0.05, 1]; draws that do not fit are repeated, which favours smaller ones.
  EXPECT_GT(area_sum / draws, 0.38);
  EXPECT_LT(area_sum / draws, 0.525);
  EXPECT_NEAR(flips, draws / 2, 300);
}

TEST(InceptionCrop, is_a_function_of_the_stream) {
  const InceptionCropOptions options;
  const auto plan = [&](std::uint64_t record) {
    return inception_crop(640, 480, 224, options, RandomStream(9, 4, record));
  };
  EXPECT_EQ(plan(17).crop, plan(17).crop);
  EXPECT_EQ(plan(17).flip, plan(17).flip);
  EXPECT_NE(plan(17).crop, plan(18).crop);
}

TEST(InceptionCrop, without_flip_never_flips) {
  InceptionCropOptions options;
  options.flip = false;
  for (std::uint64_t record = 0; record < 100; ++record) {
    EXPECT_FALSE(inception_crop(64, 64, 32, options, RandomStream(1, 0, record)).flip);
  }
}

TEST(InceptionCrop, falls_back_to_the_largest_centre_box_of_an_allowed_aspect) {
  // No draw fits: at an aspect of 4/3 at most, the whole area of a 1000 x 10 strip is wider than
  // high.
  InceptionCropOptions options;
  options.area_min = 1.0;
  const ImagePlan wide = inception_crop(1000, 12, 224, options, RandomStream(1, 0, 0));
  EXPECT_EQ(wide.crop, (CropBox{492, 0, 16, 12}));
  const ImagePlan high = inception_crop(12, 1000, 224, options, RandomStream(1, 0, 0));
  EXPECT_EQ(high.crop, (CropBox{0, 492, 12, 16}));
}

TEST(InceptionCrop, of_one_pixel_is_that_pixel) {
  for (std::uint64_t record = 0; record < 100; ++record) {
    const ImagePlan plan = inception_crop(1, 1, 8, {}, RandomStream(1, 0, record));
    EXPECT_EQ(plan.crop, (CropBox{0, 0, 1, 1}));
  }
}

TEST(ResizeRandomCrop, takes_a_square_of_the_squared_image_wherever_it_fits) {
  std::array<int, 33> seen_x{}, seen_y{};
  std::array<int, 2> flips{};
  const int draws = 33'000;
  double product = 0;
  for (std::uint64_t record = 0; record < draws; ++record) {
    const ImagePlan plan =
        resize_random_crop(500, 375, 128, {.resize = 160}, RandomStream(1, 0, record));
    EXPECT_EQ(plan.crop, (CropBox{0, 0, 500, 375}));
    EXPECT_EQ(plan.resized_width, 160U);
    EXPECT_EQ(plan.resized_height, 160U);
    ASSERT_LE(plan.offset_x, 32U);
    ASSERT_LE(plan.offset_y, 32U);
    ++seen_x[plan.offset_x];
    ++seen_y[plan.offset_y];
    ++flips[plan.flip ? 1 : 0];
    product += (plan.offset_x - 16.0) * (plan.offset_y - 16.0);
  }
  // 1000 of each expected, with a standard deviation of 31.
  for (const int times : seen_x) EXPECT_NEAR(times, 1000, 160);
  for (const int times : seen_y) EXPECT_NEAR(times, 1000, 160);
  EXPECT_NEAR(flips[1], draws / 2, 460);
  // Independent of each other: the variance of an offset is 90.7, of the mean product 0.5 squared.
  EXPECT_NEAR(product / draws, 0, 2.5);
}

TEST(ResizeRandomCrop, is_a_function_of_the_stream) {
  const auto plan = [&](std::uint64_t record) {
    return resize_random_crop(64, 64, 480, {.resize = 512}, RandomStream(9, 4, record));
  };
  EXPECT_EQ(plan(17).offset_x, plan(17).offset_x);
  EXPECT_EQ(plan(17).offset_y, plan(17).offset_y);
  EXPECT_EQ(plan(17).flip, plan(17).flip);
  int differ = 0;
  for (std::uint64_t record = 0; record < 20; ++record) {
    differ += plan(record).offset_x != plan(record + 1).offset_x ? 1 : 0;
  }
  EXPECT_GT(differ, 10);
}

TEST(ResizeRandomCrop, can_go_without_flip_and_without_crop) {
  for (std::uint64_t record = 0; record < 100; ++record) {
    const ImagePlan plan =
        resize_random_crop(70, 40, 128, {.resize = 128, .flip = false}, RandomStream(1, 0, record));
    EXPECT_EQ(plan.offset_x, 0U);
    EXPECT_EQ(plan.offset_y, 0U);
    EXPECT_FALSE(plan.flip);
  }
}

TEST(HyperRule, goes_by_the_area_of_the_image) {
  const ResizeAndCrop small{160, 128}, large{512, 480};
  EXPECT_EQ(hyper_rule_sizes(32, 32), small);
  EXPECT_EQ(hyper_rule_sizes(95, 97), small);  // 9215 of 9216
  EXPECT_EQ(hyper_rule_sizes(96, 96), large);
  EXPECT_EQ(hyper_rule_sizes(224, 224), large);
  EXPECT_EQ(hyper_rule_sizes(65'536, 65'536), large);
}

TEST(MostShrink, leaves_two_pixels_across_and_down_for_each_of_the_output) {
  const auto shrink = [](std::uint32_t width, std::uint32_t height, ResizeFilter filter) {
    ImagePlan plan;
    plan.crop = {0, 0, width, height};
    plan.resized_width = plan.resized_height = 224;
    plan.filter = filter;
    return most_shrink(plan);
  };
  EXPECT_EQ(shrink(500, 375, ResizeFilter::kTriangle), 1U);
  EXPECT_EQ(shrink(896, 895, ResizeFilter::kTriangle), 1U);
  EXPECT_EQ(shrink(896, 896, ResizeFilter::kTriangle), 2U);
  EXPECT_EQ(shrink(1791, 4000, ResizeFilter::kTriangle), 2U);
  EXPECT_EQ(shrink(1792, 1792, ResizeFilter::kTriangle), 4U);
  EXPECT_EQ(shrink(40000, 40000, ResizeFilter::kTriangle), 4U);
  EXPECT_EQ(shrink(40000, 40000, ResizeFilter::kBilinear), 1U);
}

TEST(MostShrink, is_for_training_only) {
  EXPECT_EQ(inception_crop(4000, 3000, 32, {.area_min = 0.5}, RandomStream(1, 0, 0)).shrink, 4U);
  EXPECT_EQ(resize_random_crop(4000, 3000, 128, {.resize = 160}, RandomStream(1, 0, 0)).shrink, 4U);
  EXPECT_EQ(centre_crop(4000, 3000, 256, 224).shrink, 1U);
  EXPECT_EQ(square_resize(4000, 3000, 128).shrink, 1U);
}

TEST(HyperRule, has_a_resize_for_every_crop) {
  EXPECT_EQ(hyper_rule_resize(128), 160U);
  EXPECT_EQ(hyper_rule_resize(384), 448U);
  EXPECT_EQ(hyper_rule_resize(480), 512U);
  EXPECT_EQ(hyper_rule_resize(224), 256U);
  EXPECT_EQ(hyper_rule_resize(32), 37U);  // 36.57
}

TEST(SquareResize, keeps_all_of_the_image_but_not_its_aspect) {
  const ImagePlan plan = square_resize(500, 375, 480);
  EXPECT_EQ(plan.crop, (CropBox{0, 0, 500, 375}));
  EXPECT_EQ(plan.resized_width, 480U);
  EXPECT_EQ(plan.resized_height, 480U);
  EXPECT_EQ(plan.offset_x, 0U);
  EXPECT_EQ(plan.offset_y, 0U);
  EXPECT_FALSE(plan.flip);
}

TEST(CentreCrop, resizes_the_short_side_and_keeps_the_middle) {
  const ImagePlan plan = centre_crop(500, 375, 256, 224);
  EXPECT_EQ(plan.crop, (CropBox{0, 0, 500, 375}));
  EXPECT_EQ(plan.resized_height, 256U);
  EXPECT_EQ(plan.resized_width, 341U);  // 341.33
  EXPECT_EQ(plan.offset_x, 58U);        // 58.5
  EXPECT_EQ(plan.offset_y, 16U);
  EXPECT_FALSE(plan.flip);
}

TEST(CentreCrop, of_a_portrait_and_of_a_square) {
  const ImagePlan portrait = centre_crop(300, 451, 256, 256);
  EXPECT_EQ(portrait.resized_width, 256U);
  EXPECT_EQ(portrait.resized_height, 385U);  // 384.85
  EXPECT_EQ(portrait.offset_x, 0U);
  EXPECT_EQ(portrait.offset_y, 64U);
  const ImagePlan square = centre_crop(64, 64, 64, 64);
  EXPECT_EQ(square.resized_width, 64U);
  EXPECT_EQ(square.resized_height, 64U);
}

TEST(CentreCrop, of_a_strip_does_not_overflow) {
  const ImagePlan plan = centre_crop(65'500, 1, 256, 224);
  EXPECT_EQ(plan.resized_height, 256U);
  EXPECT_EQ(plan.resized_width, 65'500U * 256);
  EXPECT_EQ(plan.offset_x, (65'500U * 256 - 224) / 2);
}

}  // namespace
}  // namespace bit::pipeline
