// Thumbnails against averages that can be stated.
#include "pipeline/convert/thumbnail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/jpeg_writer.h"

namespace bit::pipeline {
namespace {

TEST(Thumbnail, small_images_keep_their_pixels) {
  const RgbImage image{40, 30, test::test_picture(40, 30)};
  const auto small = shrink(image, 40);
  EXPECT_EQ(small.width, 40u);
  EXPECT_EQ(small.height, 30u);
  EXPECT_EQ(small.pixels, image.pixels);
}

TEST(Thumbnail, the_long_side_becomes_the_limit_and_the_short_one_at_least_a_pixel) {
  const auto wide = shrink({300, 200, test::test_picture(300, 200)}, 150);
  EXPECT_EQ(wide.width, 150u);
  EXPECT_EQ(wide.height, 100u);
  const auto line = shrink({1, 2000, test::test_picture(1, 2000)}, 160);
  EXPECT_EQ(line.width, 1u);
  EXPECT_EQ(line.height, 160u);
  EXPECT_EQ(line.pixels.size(), 480u);
}

TEST(Thumbnail, colours_stay_where_they_are) {
  RgbImage halves{400, 200, std::vector<std::uint8_t>(400 * 200 * 3)};  // left red, right blue
  for (std::size_t i = 0; i < 400 * 200; ++i) halves.pixels[i * 3 + (i % 400 < 200 ? 0 : 2)] = 255;
  const auto small = shrink(halves, 40);
  const auto pixel = [&](std::size_t x, std::size_t y) {
    const auto* at = &small.pixels[(y * 40 + x) * 3];
    return std::vector<int>{at[0], at[1], at[2]};
  };
  EXPECT_THAT(pixel(5, 10), testing::ElementsAre(255, 0, 0));
  EXPECT_THAT(pixel(35, 19), testing::ElementsAre(0, 0, 255));
}

TEST(Thumbnail, is_a_jpeg_of_the_small_image) {
  const RgbImage image{320, 160, std::vector<std::uint8_t>(320 * 160 * 3, 200)};
  const auto jpeg = thumbnail(image, 160);
  JpegDecoder decoder;
  decoder.open(jpeg);
  const auto decoded = decoder.decode_full();
  EXPECT_EQ(decoded.width, 160u);
  EXPECT_EQ(decoded.height, 80u);
  EXPECT_THAT(decoded.pixels, testing::Each(testing::AllOf(testing::Ge(198), testing::Le(202))));
}

}  // namespace
}  // namespace bit::pipeline
