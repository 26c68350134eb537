// Decoding to half and a quarter of the size: both decoders, any part, against libjpeg-turbo's
// shrunken whole.
#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "pipeline/jpeg/libjpeg_decoder.h"
#include "tests/support/every_target.h"
#include "tests/unit/pipeline/jpeg_strip_forms.h"

namespace bit::pipeline {
namespace {

using test::on_every_target;

template <typename Decoder>
std::optional<Bytes> decode(Decoder& decoder, std::span<const std::byte> jpeg, const CropBox& box,
                            std::uint32_t shrink) {
  decoder.open(jpeg);
  if (!decoder.begin(box, shrink)) return std::nullopt;
  Bytes pixels;
  for (std::uint32_t y = 0; y < box.height; ++y) {
    const std::uint8_t* row = decoder.next_row();
    if (row == nullptr) return std::nullopt;
    pixels.insert(pixels.end(), row, row + std::size_t{box.width} * 3);
  }
  return pixels;
}

std::uint32_t shrunken(std::uint32_t side, std::uint32_t shrink) {
  return (side + shrink - 1) / shrink;
}

TEST(ShrunkenJpeg, parts_have_the_pixels_of_the_shrunken_whole) {
  std::mt19937 random(7);
  StripDecoder strip;
  LibjpegDecoder libjpeg;
  for (const Form& form : kStripForms) {
    for (const std::uint32_t shrink : {2U, 4U}) {
      for (std::uint32_t i = 0; i < 40; ++i) {
        JpegOptions options = form.options;
        options.quality = i % 2 == 0 ? 90 : 40;
        options.restart_interval = i % 3 == 0 ? 4 : 0;
        const std::uint32_t width = 17 + below(random, 300), height = 1 + below(random, 200);
        const auto jpeg = write_jpeg(
            picture(kPictures[i % std::size(kPictures)], width, height, options.components, i),
            width, height, options);
        const std::uint32_t small_width = shrunken(width, shrink),
                            small_height = shrunken(height, shrink);
        RgbImage whole{small_width, small_height, {}};
        whole.pixels = decode(libjpeg, jpeg, {0, 0, small_width, small_height}, shrink).value();
        const CropBox crop = any_crop(random, small_width, small_height);
        const Bytes expected = cut(whole, crop);
        EXPECT_EQ(decode(libjpeg, jpeg, crop, shrink), expected) << form.name << " " << shrink;
        on_every_target([&](const char* target) {
          EXPECT_EQ(decode(strip, jpeg, crop, shrink), expected)
              << form.name << ", " << width << "x" << height << " by " << shrink << ", " << target;
        });
        ASSERT_FALSE(HasFailure());
      }
    }
  }
}

// The forms that only libjpeg-turbo knows, too.
TEST(ShrunkenJpeg, parts_by_libjpeg_have_the_pixels_of_the_shrunken_whole) {
  std::mt19937 random(11);
  LibjpegDecoder libjpeg;
  for (const Form& form : kForms) {
    for (const std::uint32_t shrink : {2U, 4U}) {
      const std::uint32_t width = 289, height = 164;
      const auto jpeg = picture_file(width, height, form.options);
      RgbImage whole{shrunken(width, shrink), shrunken(height, shrink), {}};
      whole.pixels = decode(libjpeg, jpeg, {0, 0, whole.width, whole.height}, shrink).value();
      for (int i = 0; i < 20; ++i) {
        const CropBox crop = any_crop(random, whole.width, whole.height);
        ASSERT_EQ(decode(libjpeg, jpeg, crop, shrink), cut(whole, crop))
            << form.name << " by " << shrink << ", " << text(crop);
      }
    }
  }
}

// A crop of eight times the output, from an image that is smooth enough: a quarter, averaged, is
// nearly the whole, averaged; and the place is the same to a fraction of a pixel.
TEST(ShrunkenJpeg, a_training_crop_looks_the_same) {
  JpegDecoder decoder;
  const std::uint32_t width = 640, height = 560;
  JpegOptions options;
  options.quality = 95;
  const auto jpeg = picture_file(width, height, options);
  for (const std::uint32_t shrink : {2U, 4U}) {
    for (const std::uint32_t offset : {0U, 1U, 2U, 3U, 37U}) {
      ImagePlan plan;
      plan.crop = {offset, offset + 1, 513, 515};
      plan.resized_width = plan.resized_height = 32;
      Bytes whole(std::size_t{32} * 32 * 3), small(whole.size());
      decoder.open(jpeg);
      decoder.decode(plan, 32, whole);
      plan.shrink = shrink;
      decoder.open(jpeg);
      decoder.decode(plan, 32, small);
      double difference = 0;
      for (std::size_t i = 0; i < whole.size(); ++i) difference += std::abs(whole[i] - small[i]);
      EXPECT_LT(difference / static_cast<double>(whole.size()), 1.0) << shrink << " " << offset;
    }
  }
}

}  // namespace
}  // namespace bit::pipeline
