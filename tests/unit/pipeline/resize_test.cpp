// The resize against its plain reference, on every instruction set this machine has, and against
// values known by hand.
#include "pipeline/resize.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>
#include <stdexcept>

#include "tests/support/every_target.h"
#include "tests/support/jpeg_writer.h"

namespace bit::pipeline {
namespace {

using test::on_every_target;

using Bytes = std::vector<std::uint8_t>;

Bytes resize(const Bytes& image, std::uint32_t width, const ImagePlan& plan, std::uint32_t size,
             RowResizer& resizer) {
  Bytes out(std::size_t{size} * size * 3, 99);
  resizer.begin(plan, size, out);
  const CropBox& box = resizer.source();
  // A row of its own, so that a sanitizer sees a read past its end.
  Bytes row(std::size_t{box.width} * 3, 255);
  for (std::uint32_t y = 0; y < box.height; ++y) {
    const auto* from = &image[(std::size_t{box.y + y} * width + box.x) * 3];
    std::copy(from, from + std::size_t{box.width} * 3, row.begin());
    resizer.push_row(row.data());
  }
  EXPECT_TRUE(resizer.complete());
  return out;
}

Bytes resize_planes(const Bytes& image, std::uint32_t width, const ImagePlan& plan,
                    std::uint32_t size, RowResizer& resizer) {
  Bytes out(std::size_t{size} * size * 3);
  resizer.begin(plan, size, out, RowLayout::kPlanar);
  const CropBox& box = resizer.source();
  for (std::uint32_t y = 0; y < box.height; ++y) {
    std::uint8_t* const row = resizer.row();
    for (std::size_t i = 0; i < box.width * 3 && row != nullptr; ++i) {
      row[i % 3 * resizer.plane_bytes() + i / 3] =
          image[(std::size_t{box.y + y} * width + box.x) * 3 + i];
    }
    resizer.push_row();
  }
  EXPECT_TRUE(resizer.complete());
  return out;
}

Bytes reference(const Bytes& image, std::uint32_t width, const ImagePlan& plan,
                std::uint32_t size) {
  Bytes out(std::size_t{size} * size * 3);
  resize_reference(image.data(), width, plan, size, out);
  return out;
}

RC_GTEST_PROP(RowResizer, equals_the_reference_on_every_instruction_set, ()) {
  const auto width = *rc::gen::inRange<std::uint32_t>(1, 180);
  const auto height = *rc::gen::inRange<std::uint32_t>(1, 180);
  ImagePlan plan;
  plan.crop.x = *rc::gen::inRange<std::uint32_t>(0, width);
  plan.crop.y = *rc::gen::inRange<std::uint32_t>(0, height);
  plan.crop.width = *rc::gen::inRange<std::uint32_t>(1, width - plan.crop.x + 1);
  plan.crop.height = *rc::gen::inRange<std::uint32_t>(1, height - plan.crop.y + 1);
  const auto size = *rc::gen::inRange<std::uint32_t>(1, 70);
  plan.offset_x = *rc::gen::inRange<std::uint32_t>(0, 30);
  plan.offset_y = *rc::gen::inRange<std::uint32_t>(0, 30);
  plan.resized_width = size + plan.offset_x + *rc::gen::inRange<std::uint32_t>(0, 60);
  plan.resized_height = size + plan.offset_y + *rc::gen::inRange<std::uint32_t>(0, 60);
  plan.flip = *rc::gen::arbitrary<bool>();
  plan.filter = *rc::gen::element(ResizeFilter::kTriangle, ResizeFilter::kBilinear);
  const Bytes image = test::test_picture(width, height, 3, *rc::gen::inRange(0U, 1000U));
  const Bytes expected = reference(image, width, plan, size);
  RowResizer resizer;
  on_every_target([&](const char* target) {
    if (resize(image, width, plan, size, resizer) != expected) RC_FAIL(target);
    if (resize_planes(image, width, plan, size, resizer) != expected) RC_FAIL(target);
  });
}

TEST(RowResizer, keeps_the_pixels_of_a_crop_that_has_the_size_already) {
  const Bytes image = test::test_picture(40, 30);
  RowResizer resizer;
  const Bytes out = resize(image, 40, {{7, 5, 20, 20}, 20, 20, 0, 0, false}, 20, resizer);
  EXPECT_EQ(resizer.source(), (CropBox{7, 5, 20, 20}));
  for (std::size_t y = 0; y < 20; ++y) {
    for (std::size_t i = 0; i < 60; ++i) {
      ASSERT_EQ(out[y * 60 + i], image[((y + 5) * 40 + 7) * 3 + i]) << y << ", " << i;
    }
  }
}

TEST(RowResizer, averages_with_the_triangle_when_it_halves) {
  // Support 2, centre between samples 1 and 2 of 4 for the first output: weights 3/4, 3/4, 1/4 (cut
  // at the edge) of 7/4.
  const Bytes image = {0, 0, 0, 70, 70, 70, 140, 140, 140, 210, 210, 210};
  RowResizer resizer;
  const Bytes out = resize(image, 4, {{0, 0, 4, 1}, 2, 2, 0, 0, false}, 2, resizer);
  EXPECT_EQ(out[0], 50);   // (3 * 0 + 3 * 70 + 140) / 7
  EXPECT_EQ(out[3], 160);  // (70 + 3 * 140 + 3 * 210) / 7
}

TEST(RowResizer, takes_the_nearest_two_whatever_the_scale_without_antialias) {
  // 8 to 2: centres at 1.5 and 5.5, which lie half-way between samples 1 and 2, 5 and 6.
  Bytes image;
  for (const std::uint8_t value : Bytes{255, 10, 30, 255, 255, 100, 201, 255})
    image.insert(image.end(), 3, value);
  ImagePlan plan{{0, 0, 8, 1}, 2, 2, 0, 0, false, ResizeFilter::kBilinear};
  RowResizer resizer;
  const Bytes out = resize(image, 8, plan, 2, resizer);
  EXPECT_EQ(resizer.source(), (CropBox{1, 0, 6, 1}));
  EXPECT_EQ(out[0], 20);
  EXPECT_EQ(out[3], 151);  // 150.5
}

TEST(RowResizer, repeats_the_edge_without_antialias) {
  // 2 to 4: centres at -0.25, 0.25, 0.75 and 1.25.
  const Bytes image = {0, 0, 0, 100, 100, 100};
  ImagePlan plan{{0, 0, 2, 1}, 4, 4, 0, 0, false, ResizeFilter::kBilinear};
  RowResizer resizer;
  const Bytes out = resize(image, 2, plan, 4, resizer);
  EXPECT_EQ(out[0], 0);
  EXPECT_EQ(out[3], 25);
  EXPECT_EQ(out[6], 75);
  EXPECT_EQ(out[9], 100);
}

RC_GTEST_PROP(RowResizer, has_nothing_to_antialias_where_it_enlarges, ()) {
  const auto side = *rc::gen::inRange<std::uint32_t>(1, 60);
  const auto size = *rc::gen::inRange<std::uint32_t>(side, 120);
  const Bytes image = test::test_picture(side, side, 3, *rc::gen::inRange(0U, 1000U));
  ImagePlan plan{{0, 0, side, side}, size, size, 0, 0, false, ResizeFilter::kTriangle};
  RowResizer resizer;
  const Bytes triangle = resize(image, side, plan, size, resizer);
  plan.filter = ResizeFilter::kBilinear;
  const Bytes bilinear = resize(image, side, plan, size, resizer);
  for (std::size_t i = 0; i < triangle.size(); ++i) {
    // The weights' last bits may differ, and what is half-way may then round the other way, twice.
    RC_ASSERT(std::abs(triangle[i] - bilinear[i]) <= 1);
  }
}

TEST(RowResizer, spreads_an_image_of_one_pixel) {
  RowResizer resizer;
  const Bytes out = resize({10, 20, 30}, 1, {{0, 0, 1, 1}, 224, 224, 0, 0, true}, 224, resizer);
  for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], 10 + 10 * (i % 3));
}

TEST(RowResizer, keeps_white_white_at_any_scale) {
  for (const std::uint32_t side : {1U, 5U, 63U, 300U, 2000U}) {
    const Bytes image(std::size_t{side} * side * 3, 255);
    RowResizer resizer;
    const Bytes out = resize(image, side, {{0, 0, side, side}, 31, 31, 0, 0, false}, 31, resizer);
    EXPECT_EQ(out, Bytes(31 * 31 * 3, 255)) << side;
  }
}

TEST(RowResizer, mirrors_exactly) {
  const Bytes image = test::test_picture(97, 61);
  ImagePlan plan{{3, 2, 90, 57}, 64, 50, 9, 6, false};
  RowResizer resizer;
  const Bytes plain = resize(image, 97, plan, 41, resizer);
  plan.flip = true;
  const Bytes mirrored = resize(image, 97, plan, 41, resizer);
  for (std::size_t y = 0; y < 41; ++y) {
    for (std::size_t x = 0; x < 41; ++x) {
      for (std::size_t c = 0; c < 3; ++c) {
        ASSERT_EQ(mirrored[(y * 41 + x) * 3 + c], plain[(y * 41 + 40 - x) * 3 + c]);
      }
    }
  }
}

TEST(RowResizer, asks_only_for_the_pixels_that_the_kept_square_needs) {
  Bytes out(50 * 50 * 3);
  RowResizer resizer;
  resizer.begin({{100, 0, 400, 100}, 200, 50, 75, 0, false}, 50, out);
  // Output columns 75 ... 124 at scale 2: centres 151 ... 249, two more on each side.
  EXPECT_EQ(resizer.source(), (CropBox{249, 0, 102, 100}));
}

TEST(RowResizer, refuses_a_square_outside_of_the_resized_crop) {
  Bytes out(10 * 10 * 3);
  RowResizer resizer;
  EXPECT_THROW(resizer.begin({{0, 0, 20, 20}, 12, 12, 3, 0, false}, 10, out),
               std::invalid_argument);
  EXPECT_THROW(resizer.begin({{0, 0, 20, 0}, 10, 10, 0, 0, false}, 10, out), std::invalid_argument);
  EXPECT_THROW(resizer.begin({{0, 0, 20, 20}, 11, 11, 0, 0, false}, 11, out),
               std::invalid_argument);
}

TEST(AxisTaps, weights_of_every_sample_sum_to_one) {
  AxisTaps taps;
  for (const auto filter : {ResizeFilter::kTriangle, ResizeFilter::kBilinear}) {
    for (const std::uint32_t input : {1U, 2U, 17U, 224U, 1000U, 65500U}) {
      taps.compute(filter, {0, static_cast<double>(input), input}, 224, 0, 224);
      for (std::uint32_t i = 0; i < 224; ++i) {
        const auto* weight = &taps.weights[std::size_t{i} * taps.stride];
        const auto sum = std::accumulate(weight, weight + taps.count[i], std::int64_t{0});
        ASSERT_NEAR(static_cast<double>(sum), kWeightOne, taps.count[i]) << input << ", " << i;
        ASSERT_LE(taps.first[i] + taps.count[i], input);
      }
    }
  }
}

}  // namespace
}  // namespace bit::pipeline
