// Partial decoding against full decoding, in every form of JPEG, and colours known by hand.
#include "pipeline/jpeg.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "pipeline/resize.h"
#include "tests/unit/pipeline/jpeg_forms.h"

namespace bit::pipeline {
namespace {

class EveryForm : public testing::TestWithParam<Form> {};

INSTANTIATE_TEST_SUITE_P(Jpeg, EveryForm, testing::ValuesIn(kForms),
                         [](const auto& form) { return std::string(form.param.name); });

// All offsets modulo the largest MCU (32 x 32), in images that do and do not end on a block.
TEST_P(EveryForm, crops_have_the_pixels_of_the_whole_at_every_offset) {
  JpegDecoder decoder;
  for (const auto& [width, height] : {std::pair{96U, 96U}, std::pair{83U, 107U}}) {
    const auto jpeg = picture_file(width, height, GetParam().options);
    const RgbImage whole = decode_full(decoder, jpeg);
    for (std::uint32_t offset = 0; offset < 34; ++offset) {
      for (const std::uint32_t side : {1U, 2U, 40U}) {
        for (const CropBox& crop :
             {CropBox{offset, 35, side, side}, CropBox{33, offset, side, side},
              CropBox{width - side - offset, height - side - offset / 2, side, side}}) {
          ASSERT_EQ(decode_crop(decoder, jpeg, crop), cut(whole, crop))
              << width << "x" << height << ": " << crop.x << ", " << crop.y << ", side " << side;
        }
      }
    }
  }
}

// Upsampling of tiny components has special cases in libjpeg-turbo.
TEST_P(EveryForm, crops_have_the_pixels_of_the_whole_in_tiny_images) {
  JpegDecoder decoder;
  for (std::uint32_t width = 1; width < 40; width += width < 10 ? 1 : 5) {
    for (std::uint32_t height = 1; height < 40; height += height < 10 ? 1 : 5) {
      const auto jpeg = picture_file(width, height, GetParam().options);
      const RgbImage whole = decode_full(decoder, jpeg);
      const std::uint32_t side = std::max(1U, std::min(width, height) / 2);
      for (const CropBox& crop :
           {CropBox{0, 0, side, side}, CropBox{width - side, height - side, side, side},
            CropBox{(width - side) / 2, (height - side) / 2, side, side}}) {
        ASSERT_EQ(decode_crop(decoder, jpeg, crop), cut(whole, crop)) << width << "x" << height;
      }
    }
  }
}

RC_GTEST_PROP(JpegDecoder, resizes_a_crop_as_if_the_whole_had_been_decoded, ()) {
  const Form form = *rc::gen::elementOf(std::vector<Form>(std::begin(kForms), std::end(kForms)));
  RC_LOG() << form.name;
  const auto width = *rc::gen::inRange<std::uint32_t>(1, 200);
  const auto height = *rc::gen::inRange<std::uint32_t>(1, 200);
  ImagePlan plan;
  plan.crop.x = *rc::gen::inRange<std::uint32_t>(0, width);
  plan.crop.y = *rc::gen::inRange<std::uint32_t>(0, height);
  plan.crop.width = *rc::gen::inRange<std::uint32_t>(1, width - plan.crop.x + 1);
  plan.crop.height = *rc::gen::inRange<std::uint32_t>(1, height - plan.crop.y + 1);
  const auto size = *rc::gen::inRange<std::uint32_t>(1, 50);
  plan.offset_x = *rc::gen::inRange<std::uint32_t>(0, 20);
  plan.offset_y = *rc::gen::inRange<std::uint32_t>(0, 20);
  plan.resized_width = size + plan.offset_x + *rc::gen::inRange<std::uint32_t>(0, 20);
  plan.resized_height = size + plan.offset_y + *rc::gen::inRange<std::uint32_t>(0, 20);
  plan.flip = *rc::gen::arbitrary<bool>();
  const auto jpeg = picture_file(width, height, form.options);
  JpegDecoder decoder;
  const RgbImage whole = decode_full(decoder, jpeg);
  Bytes expected(std::size_t{size} * size * 3), out(expected.size());
  resize_reference(whole.pixels.data(), width, plan, size, expected);
  decoder.open(jpeg);
  decoder.decode(plan, size, out);
  RC_ASSERT(out == expected);
}

TEST(JpegDecoder, tells_the_size_from_the_header) {
  JpegDecoder decoder;
  const auto jpeg = picture_file(123, 45);
  const ImageSize size = decoder.open(jpeg);
  EXPECT_EQ(size.width, 123U);
  EXPECT_EQ(size.height, 45U);
}

TEST(JpegDecoder, gives_back_plain_colours) {
  const std::uint8_t colours[][3] = {{255, 0, 0}, {0, 255, 0}, {20, 40, 200}, {128, 128, 128}};
  JpegDecoder decoder;
  for (const auto& colour : colours) {
    Bytes pixels;
    for (int i = 0; i < 16 * 16; ++i) pixels.insert(pixels.end(), colour, colour + 3);
    const RgbImage image = decode_full(decoder, write_jpeg(pixels, 16, 16, {.quality = 100}));
    for (std::size_t i = 0; i < image.pixels.size(); ++i) {
      ASSERT_NEAR(image.pixels[i], colour[i % 3], 2);
    }
  }
}

TEST(JpegDecoder, gives_grey_three_times) {
  const Bytes pixels(8 * 8, 77);
  JpegDecoder decoder;
  const RgbImage image =
      decode_full(decoder, write_jpeg(pixels, 8, 8, {.components = 1, .quality = 100}));
  EXPECT_EQ(image.pixels, Bytes(8 * 8 * 3, 77));
}

TEST(JpegDecoder, reads_cmyk_as_inverted_when_adobe_marked_it) {
  Bytes pixels;
  for (int i = 0; i < 64; ++i) pixels.insert(pixels.end(), {200, 100, 0, 128});
  JpegDecoder decoder;
  JpegOptions options{.components = 4, .quality = 100};
  const RgbImage inverted = decode_full(decoder, write_jpeg(pixels, 8, 8, options));
  // 200 * 128 / 255, 100 * 128 / 255, 0: 255 is no ink. Flat blocks survive quality 100 exactly.
  EXPECT_EQ(Bytes(inverted.pixels.begin(), inverted.pixels.begin() + 3), (Bytes{100, 50, 0}));
  options.adobe_marker = false;
  const RgbImage plain = decode_full(decoder, write_jpeg(pixels, 8, 8, options));
  // 127 - 200 * 127 / 255 and so on, in whole numbers.
  EXPECT_EQ(Bytes(plain.pixels.begin(), plain.pixels.begin() + 3), (Bytes{27, 77, 127}));
}

TEST(JpegDecoder, reads_ycck_as_cmyk) {
  Bytes pixels;
  for (int i = 0; i < 64; ++i) pixels.insert(pixels.end(), {200, 100, 0, 128});
  JpegDecoder decoder;
  const RgbImage image = decode_full(
      decoder, write_jpeg(pixels, 8, 8, {.components = 4, .quality = 100, .ycck = true}));
  EXPECT_NEAR(image.pixels[0], 100, 2);
  EXPECT_NEAR(image.pixels[1], 50, 2);
  EXPECT_NEAR(image.pixels[2], 0, 2);
}

TEST(JpegDecoder, refuses_a_crop_outside_of_the_image) {
  JpegDecoder decoder;
  const auto jpeg = picture_file(30, 30);
  Bytes out(8 * 8 * 3);
  decoder.open(jpeg);
  EXPECT_THROW(decoder.decode({{25, 0, 8, 8}, 8, 8, 0, 0, false}, 8, out), std::invalid_argument);
  EXPECT_THROW(decoder.decode({{0, 0xFFFFFFFF, 8, 8}, 8, 8, 0, 0, false}, 8, out),
               std::invalid_argument);
  decoder.decode({{22, 22, 8, 8}, 8, 8, 0, 0, false}, 8, out);
  EXPECT_THROW(decoder.decode_full(), std::logic_error);  // each image is opened once
}

}  // namespace
}  // namespace bit::pipeline
