// Rewritten images: the same pixels in every form of JPEG, intervals that start each row, nothing
// but the picture, and no damaged file passes.
#include "pipeline/convert/normalize_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "pipeline/convert/jpeg_transcode.h"
#include "storage/tfrecord.h"
#include "tests/support/jpeg_writer.h"

namespace bit::pipeline {
namespace {

using test::JpegOptions;

struct Form {
  const char* name;
  JpegOptions options;
};
void PrintTo(const Form& form, std::ostream* out) { *out << form.name; }

const Form kForms[] = {
    {"rgb_444", {}},
    {"rgb_422", {.horizontal = 2}},
    {"rgb_420", {.horizontal = 2, .vertical = 2}},
    {"rgb_411", {.horizontal = 4}},
    {"rgb_420_restarts", {.horizontal = 2, .vertical = 2, .restart_interval = 3}},
    {"progressive_444", {.progressive = true}},
    {"progressive_420", {.horizontal = 2, .vertical = 2, .progressive = true}},
    {"arithmetic_420", {.horizontal = 2, .vertical = 2, .arithmetic = true}},
    {"grey", {.components = 1}},
    {"grey_stored_as_2x2", {.components = 1, .horizontal = 2, .vertical = 2}},
    {"progressive_grey", {.components = 1, .progressive = true}},
};

const Form kFourComponents[] = {
    {"cmyk", {.components = 4}},
    {"cmyk_without_adobe_marker", {.components = 4, .adobe_marker = false}},
    {"ycck_420", {.components = 4, .horizontal = 2, .vertical = 2, .ycck = true}},
};

std::vector<std::byte> picture(std::uint32_t width, std::uint32_t height,
                               const JpegOptions& options = {}) {
  return test::write_jpeg(test::test_picture(width, height, options.components), width, height,
                          options);
}

std::vector<std::uint8_t> pixels(std::span<const std::byte> jpeg) {
  JpegDecoder decoder;
  decoder.open(jpeg);
  return decoder.decode_full().pixels;
}

NormalizedImage normalize(std::span<const std::byte> file, const NormalizeOptions& options = {}) {
  return ImageNormalizer(options).normalize(file);
}

std::string failure(std::span<const std::byte> file, JpegMode mode) {
  try {
    normalize(file, {.jpeg = mode});
  } catch (const storage::DataError& error) {
    return error.what();
  }
  return "";
}

// The payload of the first marker segment with this code; empty when there is none.
std::vector<std::uint8_t> segment(std::span<const std::byte> jpeg, std::uint8_t code) {
  const auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(jpeg[i]); };
  for (std::size_t i = 2; i + 4 <= jpeg.size() && at(i) == 0xFF;) {
    const std::size_t length = at(i + 2) << 8 | at(i + 3);
    if (at(i + 1) == code) {
      std::vector<std::uint8_t> payload;
      for (std::size_t k = i + 4; k < i + 2 + length; ++k) {
        payload.push_back(static_cast<std::uint8_t>(at(k)));
      }
      return payload;
    }
    if (at(i + 1) == 0xDA) break;  // start of scan
    i += 2 + length;
  }
  return {};
}

std::uint32_t interval_of(std::span<const std::byte> jpeg) {
  const auto payload = segment(jpeg, 0xDD);
  return payload.size() == 2 ? static_cast<std::uint32_t>(payload[0] << 8 | payload[1]) : 0;
}

class EveryForm : public testing::TestWithParam<Form> {};
INSTANTIATE_TEST_SUITE_P(Jpeg, EveryForm, testing::ValuesIn(kForms),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(EveryForm, lossless_rewriting_keeps_every_pixel) {
  for (const auto& [width, height] : {std::pair{96u, 64u}, {101u, 67u}, {17u, 5u}, {1u, 1u}}) {
    const auto file = picture(width, height, GetParam().options);
    const auto image = normalize(file);
    EXPECT_EQ(image.width, width);
    EXPECT_EQ(image.height, height);
    EXPECT_EQ(pixels(image.bytes), pixels(file)) << width << " x " << height;
  }
}

TEST_P(EveryForm, lossless_rewriting_gives_a_baseline_file_with_intervals_of_four) {
  for (const std::uint32_t width : {5u, 96u, 101u, 330u}) {
    const auto image = normalize(picture(width, 40, GetParam().options));
    EXPECT_FALSE(segment(image.bytes, 0xC0).empty()) << "no baseline frame";
    EXPECT_TRUE(segment(image.bytes, 0xC2).empty()) << "a progressive frame";
    EXPECT_EQ(interval_of(image.bytes), 4u);
  }
}

TEST_P(EveryForm, keeping_changes_no_byte) {
  const auto file = picture(50, 30, GetParam().options);
  EXPECT_EQ(normalize(file, {.jpeg = JpegMode::kKeep}).bytes, file);
}

class FourComponents : public testing::TestWithParam<Form> {};
INSTANTIATE_TEST_SUITE_P(Jpeg, FourComponents, testing::ValuesIn(kFourComponents),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(FourComponents, become_rgb_that_looks_the_same_but_keeping_changes_no_byte) {
  const auto file = picture(50, 30, GetParam().options);
  EXPECT_EQ(normalize(file, {.jpeg = JpegMode::kKeep}).bytes, file);
  const auto image = normalize(file);
  JpegDecoder decoder;
  EXPECT_EQ(decoder.open(image.bytes), (ImageSize{50, 30}));
  EXPECT_EQ(decoder.components(), 3);
  const auto before = pixels(file), after = pixels(image.bytes);
  double error = 0;
  for (std::size_t i = 0; i < before.size(); ++i) error += std::abs(before[i] - after[i]);
  EXPECT_LT(error / static_cast<double>(before.size()), 5);
}

TEST_P(EveryForm, rewriting_twice_changes_nothing_more) {
  const auto once = normalize(picture(101, 67, GetParam().options));
  EXPECT_EQ(normalize(once.bytes).bytes, once.bytes);
}

TEST(NormalizeImage, metadata_is_left_out_and_the_picture_stays) {
  const auto plain = picture(64, 48);
  auto file = plain;
  const std::string_view exif = std::string_view(
      "\xFF\xE1\x00\x0E"
      "Exif\0\0secret",
      16);
  const auto bytes = std::as_bytes(std::span(exif));
  file.insert(file.begin() + 2, bytes.begin(), bytes.end());
  ASSERT_FALSE(segment(file, 0xE1).empty());
  const auto image = normalize(file);
  EXPECT_TRUE(segment(image.bytes, 0xE1).empty());
  EXPECT_EQ(pixels(image.bytes), pixels(plain));
}

class BothModes : public testing::TestWithParam<JpegMode> {};
INSTANTIATE_TEST_SUITE_P(Jpeg, BothModes, testing::Values(JpegMode::kKeep, JpegMode::kLossless));

TEST_P(BothModes, what_is_no_image_is_refused_with_the_reason) {
  const std::string text = "an image? No.";
  EXPECT_EQ(failure(std::as_bytes(std::span(text)), GetParam()),
            "not an image of a known kind (JPEG, PNG, WebP, BMP, GIF)");
  EXPECT_EQ(failure({}, GetParam()), "an empty file");
  const std::string lie = "\xFF\xD8\xFF\xE0 and nothing of the kind";
  EXPECT_NE(failure(std::as_bytes(std::span(lie)), GetParam()), "");
}

TEST_P(BothModes, a_file_cut_anywhere_is_refused) {
  for (const bool progressive : {false, true}) {
    const auto file = picture(64, 48, {.progressive = progressive});
    for (std::size_t size = 3; size + 2 < file.size(); size += 37) {
      EXPECT_NE(failure(std::span(file).first(size), GetParam()), "") << size;
    }
  }
}

TEST_P(BothModes, a_header_that_promises_too_many_pixels_is_refused) {
  auto file = picture(16, 16);
  const auto frame = std::ranges::search(
      file, std::vector{std::byte{0xFF}, std::byte{0xC0}, std::byte{0x00}, std::byte{0x11}});
  ASSERT_FALSE(frame.empty());
  for (int i = 5; i < 9; ++i) frame.begin()[i] = std::byte{0xFF};  // height and width
  EXPECT_NE(failure(file, GetParam()), "");
}

}  // namespace
}  // namespace bit::pipeline
