// StripDecoder alone, on every instruction set, against libjpeg-turbo's decoding of the whole: what
// it has to accept it accepts, with the same bytes.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <random>

#include "tests/support/every_target.h"
#include "tests/unit/pipeline/jpeg_strip_forms.h"

namespace bit::pipeline {
namespace {

using test::on_every_target;

RgbImage whole_by_libjpeg(std::span<const std::byte> jpeg) {
  JpegDecoder decoder(JpegMethod::kLibjpeg);
  return decode_full(decoder, jpeg);
}

// The intervals of a layout, in MCUs, for a file of so many MCUs a row.
enum class Restarts { kNone, kOne, kThree, kFour, kRow, kLonger, kRows, kNotDividing };
constexpr Restarts kRestarts[] = {Restarts::kNone, Restarts::kOne,        Restarts::kThree,
                                  Restarts::kFour, Restarts::kRow,        Restarts::kLonger,
                                  Restarts::kRows, Restarts::kNotDividing};

constexpr int kQualities[] = {1, 50, 75, 95, 100};

std::uint32_t interval(Restarts layout, std::uint32_t columns) {
  switch (layout) {
    case Restarts::kNone:
      return 0;
    case Restarts::kOne:
      return 1;
    case Restarts::kThree:
      return 3;
    case Restarts::kFour:
      return 4;
    case Restarts::kRow:
      return columns;
    case Restarts::kLonger:
      return columns + 2;
    case Restarts::kRows:
      return 2 * columns;
    case Restarts::kNotDividing:
      return columns > 2 ? columns - 1 : 7;
  }
  return 0;
}

// Some crops of one file.
void compare(std::mt19937& random, StripDecoder& decoder, const JpegOptions& options,
             const Bytes& pixels, std::uint32_t width, std::uint32_t height) {
  const auto jpeg = write_jpeg(pixels, width, height, options);
  const RgbImage whole = whole_by_libjpeg(jpeg);
  const CropBox crops[] = {
      {0, 0, width, height}, any_crop(random, width, height), any_crop(random, width, height)};
  on_every_target([&](const char* target) {
    for (const CropBox& crop : crops) {
      const auto strip = decode_strip(decoder, jpeg, crop);
      ASSERT_TRUE(strip.has_value()) << target;
      ASSERT_TRUE(*strip == cut(whole, crop))
          << width << "x" << height << ", " << text(crop) << ", " << target;
    }
  });
}

// Every combination of form, restart intervals, tables, quality and picture: 4000 files, 12000
// crops.
TEST(StripDecoder, gives_libjpegs_pixels_in_every_combination) {
  std::mt19937 random(1);
  StripDecoder decoder;
  for (const Form& form : kStripForms) {
    for (const Restarts layout : kRestarts) {
      for (std::uint32_t i = 0; i < std::size(kQualities) * std::size(kPictures) * 2; ++i) {
        const std::uint32_t width = 5 + below(random, 76), height = 1 + below(random, 64);
        const Picture kind = kPictures[i / 2 % std::size(kPictures)];
        JpegOptions options = form.options;
        options.quality = kQualities[i / 2 / std::size(kPictures)];
        options.optimized = i % 2 == 0;
        options.restart_interval = interval(layout, mcu_columns(options, width));
        const Bytes pixels =
            picture(kind, width, height, options.components, below(random, 1 << 20));
        compare(random, decoder, options, pixels, width, height);
        ASSERT_FALSE(HasFatalFailure())
            << form.name << ", quality " << options.quality << ", interval "
            << options.restart_interval << ", picture " << static_cast<int>(kind);
      }
    }
  }
}

RC_GTEST_PROP(StripDecoder, gives_libjpegs_pixels_for_any_size_and_interval, ()) {
  const Form form =
      *rc::gen::elementOf(std::vector<Form>(std::begin(kStripForms), std::end(kStripForms)));
  RC_LOG() << form.name;
  JpegOptions options = form.options;
  const auto width = *rc::gen::inRange<std::uint32_t>(wide_enough(options, 1) ? 1 : 5, 300);
  const auto height = *rc::gen::inRange<std::uint32_t>(1, 200);
  options.quality = *rc::gen::element(1, 50, 75, 95, 100);
  options.optimized = *rc::gen::arbitrary<bool>();
  options.restart_interval = *rc::gen::inRange(0U, 2 * mcu_columns(options, width) + 3);
  const auto kind =
      *rc::gen::elementOf(std::vector<Picture>(std::begin(kPictures), std::end(kPictures)));
  const auto seed = *rc::gen::inRange(0U, 10000U);
  const auto jpeg =
      write_jpeg(picture(kind, width, height, options.components, seed), width, height, options);
  const RgbImage whole = whole_by_libjpeg(jpeg);
  std::mt19937 random(seed);
  StripDecoder decoder;
  for (int i = 0; i < 25; ++i) {
    const CropBox crop = any_crop(random, width, height);
    const Bytes expected = cut(whole, crop);
    on_every_target([&](const char* target) {
      const auto strip = decode_strip(decoder, jpeg, crop);
      if (!strip.has_value()) RC_FAIL(std::string("refused: ") + text(crop) + " " + target);
      if (*strip != expected) RC_FAIL(std::string("other pixels: ") + text(crop) + " " + target);
    });
  }
}

TEST(StripDecoder, gives_the_same_pixels_at_every_offset_of_the_crop_in_its_blocks) {
  StripDecoder decoder;
  for (const Form& form : kStripForms) {
    JpegOptions options = form.options;
    options.restart_interval = 4;
    const std::uint32_t width = 75, height = 71;
    const auto jpeg = picture_file(width, height, options);
    const RgbImage whole = whole_by_libjpeg(jpeg);
    for (std::uint32_t offset = 0; offset < 34; ++offset) {
      for (const std::uint32_t side : {1U, 2U, 33U}) {
        for (const CropBox& crop :
             {CropBox{offset, 17, side, side}, CropBox{16, offset, side, side},
              CropBox{width - side - offset, height - side - offset, side, side}}) {
          const auto strip = decode_strip(decoder, jpeg, crop);
          ASSERT_TRUE(strip.has_value()) << form.name << " " << text(crop);
          ASSERT_TRUE(*strip == cut(whole, crop)) << form.name << " " << text(crop);
        }
      }
    }
  }
}

TEST(StripDecoder, begins_again_anywhere_in_the_opened_image) {
  StripDecoder decoder;
  std::mt19937 random(2);
  for (const Form& form : kStripForms) {
    JpegOptions options = form.options;
    options.restart_interval = 3;
    const auto jpeg = picture_file(200, 150, options);
    const RgbImage whole = whole_by_libjpeg(jpeg);
    ASSERT_TRUE(decoder.open(jpeg)) << form.name;
    for (int i = 0; i < 20; ++i) {
      const CropBox crop = any_crop(random, 200, 150);
      const std::uint32_t rows = i % 3 == 0 ? crop.height / 2 : crop.height;  // or left early
      const Bytes expected = cut(whole, crop);
      decoder.begin(crop);
      for (std::uint32_t y = 0; y < rows; ++y) {
        const std::uint8_t* row = decoder.next_row();
        ASSERT_NE(row, nullptr) << form.name << " " << text(crop);
        const std::size_t bytes = std::size_t{crop.width} * 3;
        ASSERT_TRUE(std::equal(row, row + bytes, expected.begin() + y * bytes))
            << form.name << " " << text(crop) << ", row " << y;
      }
    }
  }
}

TEST(StripDecoder, reads_images_of_any_shape) {
  StripDecoder decoder;
  for (const Form& form : kStripForms) {
    for (const auto& [width, height] :
         {std::pair{5U, 1U}, std::pair{5U, 3000U}, std::pair{6000U, 1U}, std::pair{17U, 17U}}) {
      const auto jpeg = picture_file(width, height, form.options);
      const auto strip = decode_strip(decoder, jpeg, {0, 0, width, height});
      ASSERT_TRUE(strip.has_value()) << form.name << " " << width << "x" << height;
      ASSERT_TRUE(*strip == whole_by_libjpeg(jpeg).pixels)
          << form.name << " " << width << "x" << height;
    }
  }
}

TEST(StripDecoder, leaves_what_it_does_not_know_to_libjpeg) {
  StripDecoder decoder;
  const auto refuses = [&](std::uint32_t width, const JpegOptions& options) {
    return !decoder.open(picture_file(width, 40, options));
  };
  EXPECT_TRUE(refuses(40, progressive(with(3, 2, 2))));
  EXPECT_TRUE(refuses(40, arithmetic(with(3, 2, 2))));
  EXPECT_TRUE(refuses(40, with(4, 1, 1)));
  EXPECT_TRUE(refuses(40, ycck(with(4, 2, 2))));
  EXPECT_TRUE(refuses(40, with(3, 4, 1)));
  EXPECT_TRUE(refuses(40, with(3, 1, 4)));
  // libjpeg-turbo upsamples two columns of chroma without smoothing.
  for (const std::uint32_t width : {1U, 2U, 3U, 4U}) {
    EXPECT_TRUE(refuses(width, with(3, 2, 2))) << width;
    EXPECT_TRUE(refuses(width, with(3, 2, 1))) << width;
    EXPECT_FALSE(refuses(width, with(3, 1, 2))) << width;
    EXPECT_FALSE(refuses(width, with(3, 1, 1))) << width;
  }
  EXPECT_FALSE(refuses(5, with(3, 2, 2)));
}

}  // namespace
}  // namespace bit::pipeline
