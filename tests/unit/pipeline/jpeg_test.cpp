// Partial decoding against full decoding, in every form of JPEG; damaged data; reuse after an
// error.
#include "pipeline/jpeg.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "pipeline/resize.h"
#include "storage/tfrecord.h"
#include "tests/support/jpeg_writer.h"

namespace bit::pipeline {
namespace {

using Bytes = std::vector<std::uint8_t>;
using test::JpegOptions;
using test::test_picture;
using test::write_jpeg;

std::vector<std::byte> picture_file(std::uint32_t width, std::uint32_t height,
                                    const JpegOptions& options = {}) {
  return write_jpeg(test_picture(width, height, options.components), width, height, options);
}

RgbImage decode_full(JpegDecoder& decoder, std::span<const std::byte> jpeg) {
  decoder.open(jpeg);
  return decoder.decode_full();
}

// One pixel of output for each of the crop: what decode() reads, unchanged.
Bytes decode_crop(JpegDecoder& decoder, std::span<const std::byte> jpeg, const CropBox& crop) {
  decoder.open(jpeg);
  const std::uint32_t side = crop.width;
  Bytes out(std::size_t{side} * side * 3);
  decoder.decode({crop, side, crop.height, 0, 0, false}, side, out);
  return out;
}

Bytes cut(const RgbImage& image, const CropBox& crop) {
  Bytes out;
  for (std::uint32_t y = 0; y < crop.height; ++y) {
    const auto row = image.pixels.begin() + (std::size_t{crop.y + y} * image.width + crop.x) * 3;
    out.insert(out.end(), row, row + std::size_t{crop.width} * 3);
  }
  return out;
}

std::string failure(JpegDecoder& decoder, std::span<const std::byte> jpeg) {
  try {
    decode_full(decoder, jpeg);
  } catch (const storage::DataError& error) {
    return error.what();
  }
  return "no error";
}

struct Form {
  const char* name;
  JpegOptions options;
};

void PrintTo(const Form& form, std::ostream* out) { *out << form.name; }

JpegOptions with(int components, int horizontal, int vertical) {
  JpegOptions options;
  options.components = components;
  options.horizontal = horizontal;
  options.vertical = vertical;
  return options;
}

JpegOptions progressive(JpegOptions options) {
  options.progressive = true;
  return options;
}

JpegOptions arithmetic(JpegOptions options) {
  options.arithmetic = true;
  return options;
}

JpegOptions restarts(JpegOptions options) {
  options.restart_interval = 3;
  return options;
}

JpegOptions ycck(JpegOptions options) {
  options.ycck = true;
  return options;
}

const Form kForms[] = {
    {"rgb_444", with(3, 1, 1)},
    {"rgb_422", with(3, 2, 1)},
    {"rgb_420", with(3, 2, 2)},
    {"rgb_440", with(3, 1, 2)},
    {"rgb_411", with(3, 4, 1)},
    {"rgb_410", with(3, 4, 2)},
    {"rgb_441", with(3, 1, 4)},
    {"grey", with(1, 1, 1)},
    {"grey_stored_as_2x2", with(1, 2, 2)},
    {"cmyk", with(4, 1, 1)},
    {"ycck", ycck(with(4, 1, 1))},
    {"ycck_420", ycck(with(4, 2, 2))},
    {"rgb_420_restarts", restarts(with(3, 2, 2))},
    {"rgb_444_restarts", restarts(with(3, 1, 1))},
    {"progressive_444", progressive(with(3, 1, 1))},
    {"progressive_422", progressive(with(3, 2, 1))},
    {"progressive_420", progressive(with(3, 2, 2))},
    {"progressive_440", progressive(with(3, 1, 2))},
    {"progressive_grey", progressive(with(1, 1, 1))},
    {"progressive_ycck_420", progressive(ycck(with(4, 2, 2)))},
    {"arithmetic_420", arithmetic(with(3, 2, 2))},
    {"arithmetic_progressive_444", arithmetic(progressive(with(3, 1, 1)))},
};

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

TEST_P(EveryForm, a_file_cut_short_anywhere_is_an_error_or_whole) {
  JpegDecoder decoder;
  const auto jpeg = picture_file(70, 50, GetParam().options);
  const RgbImage whole = decode_full(decoder, jpeg);
  for (std::size_t size = 0; size < jpeg.size(); size += size + 40 < jpeg.size() ? 7 : 1) {
    // A copy of its own, so that a sanitizer sees a read past the end.
    const std::vector<std::byte> part(jpeg.begin(),
                                      jpeg.begin() + static_cast<std::ptrdiff_t>(size));
    try {
      const RgbImage image = decode_full(decoder, part);
      ASSERT_EQ(image.pixels, whole.pixels) << size << " of " << jpeg.size() << " bytes";
      ASSERT_GE(size + 8, jpeg.size());
    } catch (const storage::DataError& error) {
      ASSERT_NE(std::string(error.what()), "");
    }
  }
  EXPECT_EQ(decode_full(decoder, jpeg).pixels, whole.pixels);
}

TEST(JpegDecoder, does_not_miss_only_the_end_marker_of_a_baseline_file) {
  JpegDecoder decoder;
  auto jpeg = picture_file(40, 40);
  const RgbImage whole = decode_full(decoder, jpeg);
  jpeg.resize(jpeg.size() - 2);
  EXPECT_EQ(decode_full(decoder, jpeg).pixels, whole.pixels);
}

TEST(JpegDecoder, reads_what_lies_above_the_damage) {
  JpegDecoder decoder;
  auto jpeg = picture_file(64, 256);
  const RgbImage whole = decode_full(decoder, jpeg);
  jpeg.resize(jpeg.size() / 2);
  EXPECT_EQ(decode_crop(decoder, jpeg, {3, 4, 50, 50}), cut(whole, {3, 4, 50, 50}));
  EXPECT_THROW(decode_crop(decoder, jpeg, {3, 180, 50, 50}), storage::DataError);
  EXPECT_THROW(decode_crop(decoder, jpeg, {3, 100, 50, 50}), storage::DataError);
}

TEST(JpegDecoder, calls_intervals_that_do_not_end_at_their_restart_marker_damaged) {
  JpegDecoder decoder;
  auto jpeg = picture_file(64, 64, restarts({}));
  std::size_t marker = 0;
  for (std::size_t i = 0; i + 1 < jpeg.size(); ++i) {
    if (jpeg[i] == std::byte{0xFF} && jpeg[i + 1] == std::byte{0xD3}) marker = i;
  }
  ASSERT_GT(marker, 0U);
  const auto at = [&](std::size_t i) { return jpeg.begin() + static_cast<std::ptrdiff_t>(i); };
  // Bytes [begin, end) of the file replaced.
  const auto replace = [&](std::size_t begin, std::size_t end, std::vector<std::byte> by) {
    std::vector<std::byte> damaged(at(0), at(begin));
    damaged.insert(damaged.end(), by.begin(), by.end());
    damaged.insert(damaged.end(), at(end), jpeg.end());
    return damaged;
  };
  EXPECT_NE(failure(decoder, replace(marker, marker + 2, {})), "no error");
  EXPECT_NE(failure(decoder, replace(marker - 20, marker, {})), "no error");
  EXPECT_NE(failure(decoder, replace(marker, marker, {5, std::byte{0x11}})), "no error");
  EXPECT_EQ(failure(decoder, jpeg), "no error");
}

TEST(JpegDecoder, says_why_bytes_are_not_an_image) {
  JpegDecoder decoder;
  const auto bytes_of = [](std::string_view text) { return std::as_bytes(std::span(text)); };
  EXPECT_EQ(failure(decoder, {}), "no data");
  EXPECT_EQ(failure(decoder, bytes_of("\x89PNG\r\n\x1a\n rest of the picture")),
            "Not a JPEG file: starts with 0x89 0x50");
  EXPECT_EQ(failure(decoder, bytes_of("\xFF\xD8")), "the data ends inside the header");
  EXPECT_EQ(failure(decoder, bytes_of("\xFF\xD8\xFF\xD9")), "JPEG datastream contains no image");
  EXPECT_THROW(decoder.open(bytes_of("text")), storage::DataError);
}

// Offset of the height in the frame header (SOF0), which the width follows.
std::size_t size_offset(const std::vector<std::byte>& jpeg) {
  for (std::size_t i = 0; i + 9 < jpeg.size(); ++i) {
    if (jpeg[i] == std::byte{0xFF} && jpeg[i + 1] == std::byte{0xC0}) return i + 5;
  }
  return 0;
}

TEST(JpegDecoder, refuses_sizes_that_cannot_be_meant) {
  JpegDecoder decoder;
  const auto jpeg = picture_file(32, 32);
  const std::size_t at = size_offset(jpeg);
  ASSERT_GT(at, 0U);
  const auto sized = [&](unsigned width, unsigned height) {
    auto copy = jpeg;
    copy[at] = static_cast<std::byte>(height >> 8), copy[at + 1] = static_cast<std::byte>(height);
    copy[at + 2] = static_cast<std::byte>(width >> 8), copy[at + 3] = static_cast<std::byte>(width);
    return copy;
  };
  EXPECT_NE(failure(decoder, sized(0, 32)), "no error");
  EXPECT_NE(failure(decoder, sized(32, 0)), "no error");
  EXPECT_NE(failure(decoder, sized(65535, 8)).find("65500"), std::string::npos);
  EXPECT_EQ(failure(decoder, sized(65000, 65000)), "more than 2^28 pixels");
  EXPECT_NE(failure(decoder, sized(4000, 3000)), "no error");  // and ends soon
  EXPECT_EQ(failure(decoder, jpeg), "no error");
}

TEST(JpegDecoder, refuses_a_progressive_file_of_very_many_scans) {
  JpegDecoder decoder;
  auto jpeg = picture_file(8, 8, progressive(with(1, 1, 1)));
  const auto at = [&](std::size_t i) { return jpeg.begin() + static_cast<std::ptrdiff_t>(i); };
  std::size_t scan = 0;  // the first one: the constant parts of the blocks
  while (jpeg[scan] != std::byte{0xFF} || jpeg[scan + 1] != std::byte{0xDA}) ++scan;
  std::size_t end = scan + 2;
  while (jpeg[end] != std::byte{0xFF} || jpeg[end + 1] == std::byte{0}) ++end;
  std::vector<std::byte> repeated(at(scan), at(end));
  // "All bits at once": said after the refinements, that is legal again and again.
  repeated[1 + std::to_integer<std::size_t>(repeated[3])] = std::byte{0};
  std::vector<std::byte> bomb(at(0), at(jpeg.size() - 2));
  for (int i = 0; i < 400; ++i) bomb.insert(bomb.end(), repeated.begin(), repeated.end());
  const auto fewer = [&] {
    auto whole = bomb;
    whole.insert(whole.end(), at(jpeg.size() - 2), jpeg.end());
    return whole;
  }();
  for (int i = 0; i < 200; ++i) bomb.insert(bomb.end(), repeated.begin(), repeated.end());
  bomb.insert(bomb.end(), at(jpeg.size() - 2), jpeg.end());
  EXPECT_EQ(failure(decoder, fewer), "no error");
  EXPECT_EQ(failure(decoder, bomb), "more than 500 scans");
  EXPECT_EQ(failure(decoder, jpeg), "no error");
}

// The samples' names say what is expected of them.
TEST(JpegDecoder, tells_good_samples_from_bad_ones) {
  JpegDecoder decoder;
  int good = 0, bad = 0;
  for (const auto& entry : std::filesystem::directory_iterator(BIT_SOURCE_DIR "/tests/data/jpeg")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const std::string reason = failure(decoder, std::as_bytes(std::span(bytes)));
    const std::string name = entry.path().filename();
    if (name.starts_with("good_")) {
      EXPECT_EQ(reason, "no error") << name;
      ++good;
    } else {
      EXPECT_NE(reason, "no error") << name;
      EXPECT_NE(reason, "") << name;
      ++bad;
    }
  }
  EXPECT_GE(good, 12);
  EXPECT_GE(bad, 22);
}

TEST(JpegDecoder, gives_right_pixels_after_any_error) {
  JpegDecoder decoder, fresh;
  const auto good = picture_file(90, 70, with(3, 2, 2));
  const RgbImage expected = decode_full(fresh, good);
  const auto scans = picture_file(90, 70, progressive(with(3, 2, 2)));
  for (const auto& jpeg : {good, scans}) {
    for (const std::size_t share : {1U, 3U, 10U, 50U, 90U}) {
      const auto part = std::span(jpeg).first(jpeg.size() * share / 100);
      EXPECT_NE(failure(decoder, part), "no error");
      ASSERT_EQ(decode_full(decoder, good).pixels, expected.pixels);
    }
  }
  decoder.open(good);  // opened and left
  EXPECT_EQ(decode_crop(decoder, good, {5, 6, 40, 40}), cut(expected, {5, 6, 40, 40}));
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
