// Images of other kinds, turned, made smaller or encoded anew, and what tells equal pictures.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "pipeline/convert/decode_image.h"
#include "pipeline/convert/downscale.h"
#include "pipeline/convert/normalize_image.h"
#include "pipeline/convert/orient.h"
#include "storage/tfrecord.h"
#include "tests/support/exif_segment.h"
#include "tests/support/image_writers.h"
#include "tests/support/jpeg_writer.h"

namespace bit::pipeline {
namespace {

using test::test_picture;
using test::write_jpeg;

NormalizedImage normalize(std::span<const std::byte> file, const NormalizeOptions& options = {}) {
  return ImageNormalizer(options).normalize(file);
}

RgbImage decode(std::span<const std::byte> jpeg) {
  JpegDecoder decoder;
  decoder.open(jpeg);
  return decoder.decode_full();
}

// Without noise, so that it survives a JPEG.
std::vector<std::uint8_t> smooth_picture(std::uint32_t width, std::uint32_t height) {
  std::vector<std::uint8_t> pixels;
  for (std::uint32_t y = 0; y < height; ++y) {
    for (std::uint32_t x = 0; x < width; ++x) {
      for (const std::uint32_t value : {x * 255 / width, y * 255 / height, 255 - x * 200 / width}) {
        pixels.push_back(static_cast<std::uint8_t>(value));
      }
    }
  }
  return pixels;
}

std::vector<std::byte> png_of(const std::vector<std::uint8_t>& pixels, std::uint32_t width,
                              std::uint32_t height) {
  return test::write_png(std::vector<std::uint16_t>(pixels.begin(), pixels.end()), width, height,
                         {});
}

double mean_error(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) sum += std::abs(a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

// Frame header: the sampling factors of the first component, or 0.
int luma_sampling(std::span<const std::byte> jpeg) {
  for (std::size_t i = 2; i + 12 < jpeg.size();) {
    const auto at = [&](std::size_t k) { return std::to_integer<int>(jpeg[k]); };
    if (at(i) != 0xFF) return 0;
    if (at(i + 1) == 0xC0) return at(i + 11);
    i += 2 + static_cast<std::size_t>(at(i + 2) << 8 | at(i + 3));
  }
  return 0;
}

bool has_marker(std::span<const std::byte> jpeg, std::uint8_t code) {
  const std::byte marker[] = {std::byte{0xFF}, std::byte{code}};
  return !std::ranges::search(jpeg, marker).empty();
}

TEST(NormalizeKinds, every_kind_becomes_a_jpeg_of_full_colour_close_to_its_pixels) {
  const auto pixels = smooth_picture(45, 30);
  std::vector<std::uint8_t> bgr;
  for (int y = 29; y >= 0; --y) {
    for (int x = 0; x < 45; ++x) {
      for (const int c : {2, 1, 0})
        bgr.push_back(pixels[static_cast<std::size_t>((y * 45 + x) * 3 + c)]);
    }
    bgr.push_back(0);  // rows of 136 bytes
  }
  for (const auto& file : {png_of(pixels, 45, 30), test::write_webp(pixels, 45, 30, true),
                           test::write_bmp(bgr, 45, 30, {})}) {
    const auto image = normalize(file);
    EXPECT_EQ(image.width, 45u);
    EXPECT_EQ(image.height, 30u);
    EXPECT_EQ(luma_sampling(image.bytes), 0x11);
    EXPECT_TRUE(has_marker(image.bytes, 0xDD)) << "no restart intervals";
    EXPECT_LT(mean_error(decode(image.bytes).pixels, pixels), 1.5);
    // Keeping concerns JPEGs alone.
    EXPECT_EQ(normalize(file, {.jpeg = JpegMode::kKeep}).bytes, image.bytes);
  }
}

TEST(NormalizeKinds, equal_pixels_have_equal_hashes_whatever_the_file) {
  const auto pixels = test_picture(40, 24);
  const auto png = normalize(png_of(pixels, 40, 24));
  EXPECT_EQ(normalize(test::write_webp(pixels, 40, 24, true)).content_hash, png.content_hash);
  EXPECT_NE(normalize(png_of(pixels, 24, 40)).content_hash, png.content_hash) << "another shape";
  auto other = pixels;
  other[100] ^= 1;
  EXPECT_NE(normalize(png_of(other, 40, 24)).content_hash, png.content_hash);

  const auto baseline = write_jpeg(pixels, 40, 24);
  const auto progressive = write_jpeg(pixels, 40, 24, {.progressive = true});
  const auto hash = normalize(baseline).content_hash;
  EXPECT_EQ(normalize(progressive).content_hash, hash);
  EXPECT_EQ(normalize(baseline, {.jpeg = JpegMode::kKeep}).content_hash, hash);
  EXPECT_EQ(normalize(baseline, {.jpeg = JpegMode::kLossy}).content_hash, hash);
  EXPECT_EQ(normalize(baseline, {.max_side = 10}).content_hash, hash);
  const auto turned = test::with_segment(baseline, test::exif_segment(6));
  EXPECT_EQ(normalize(turned, {.apply_exif = true}).content_hash, hash);
}

TEST(NormalizeKinds, lossy_encodes_jpegs_anew_as_asked) {
  const auto file = write_jpeg(smooth_picture(64, 48), 64, 48, {.quality = 98});
  const auto best = normalize(file, {.jpeg = JpegMode::kLossy});
  const auto small =
      normalize(file, {.jpeg = JpegMode::kLossy, .quality = 50, .subsampling = Subsampling::k420});
  const auto wide = normalize(file, {.jpeg = JpegMode::kLossy, .subsampling = Subsampling::k422});
  EXPECT_EQ(luma_sampling(best.bytes), 0x11);
  EXPECT_EQ(luma_sampling(wide.bytes), 0x21);
  EXPECT_EQ(luma_sampling(small.bytes), 0x22);
  EXPECT_LT(small.bytes.size(), best.bytes.size());
  EXPECT_LT(mean_error(decode(best.bytes).pixels, decode(file).pixels), 1);
  EXPECT_LT(mean_error(decode(small.bytes).pixels, decode(file).pixels), 5);
}

TEST(NormalizeKinds, restart_intervals_can_be_left_out) {
  const auto pixels = test_picture(64, 48);
  for (const auto& file : {write_jpeg(pixels, 64, 48), png_of(pixels, 64, 48)}) {
    EXPECT_TRUE(has_marker(normalize(file).bytes, 0xDD));
    EXPECT_FALSE(has_marker(normalize(file, {.restart_intervals = false}).bytes, 0xDD));
  }
}

TEST(NormalizeKinds, a_longer_side_is_limited_and_the_other_follows_rounded) {
  EXPECT_EQ(limited_size({400, 300}, 0), (ImageSize{400, 300}));
  EXPECT_EQ(limited_size({400, 300}, 400), (ImageSize{400, 300}));
  EXPECT_EQ(limited_size({400, 300}, 200), (ImageSize{200, 150}));
  EXPECT_EQ(limited_size({300, 400}, 150), (ImageSize{113, 150}));  // 112.5
  EXPECT_EQ(limited_size({65500, 2}, 100), (ImageSize{100, 1}));
}

TEST(NormalizeKinds, larger_images_are_made_smaller_and_others_stay) {
  const auto pixels = smooth_picture(200, 120);
  const auto jpeg = write_jpeg(pixels, 200, 120);
  for (const JpegMode mode : {JpegMode::kKeep, JpegMode::kLossless, JpegMode::kLossy}) {
    for (const auto& file : {jpeg, png_of(pixels, 200, 120)}) {
      const auto image = normalize(file, {.jpeg = mode, .max_side = 50});
      EXPECT_EQ(image.width, 50u);
      EXPECT_EQ(image.height, 30u);
      // The same gradients with fewer steps.
      EXPECT_LT(mean_error(decode(image.bytes).pixels, smooth_picture(50, 30)), 4);
    }
  }
  EXPECT_EQ(normalize(jpeg, {.max_side = 200}).bytes, normalize(jpeg).bytes);
}

TEST(NormalizeKinds, downscaling_by_a_whole_number_keeps_even_areas) {
  RgbImage image{8, 4, {}};
  for (int i = 0; i < 32; ++i) {
    const auto value = static_cast<std::uint8_t>(i % 8 < 4 ? 10 : 200);
    image.pixels.insert(image.pixels.end(), {value, value, 7});
  }
  // Triangle of two input pixels to each side: one eighth comes from across the edge.
  const RgbImage half = downscale(image, {4, 2});
  EXPECT_EQ(half.pixels[0], 10);
  EXPECT_EQ(half.pixels[9], 200);
  EXPECT_EQ(half.pixels[2], 7);
  EXPECT_EQ(half.pixels[3], 34);  // 10 + 190 / 8, rounded
  EXPECT_EQ(half.pixels.size(), 4u * 2 * 3);
}

class NormalizeOriented : public testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Exif, NormalizeOriented, testing::Range(1u, 9u));

TEST_P(NormalizeOriented, is_ignored_unless_asked_for) {
  const auto plain = write_jpeg(test_picture(64, 32), 64, 32);
  const auto file = test::with_segment(plain, test::exif_segment(GetParam()));
  EXPECT_EQ(normalize(file).bytes, normalize(plain).bytes);
}

TEST_P(NormalizeOriented,
       turns_jpegs_upright_without_loss_where_blocks_are_whole_and_closely_else) {
  const bool swaps = GetParam() >= 5;
  for (const auto& [width, height] : {std::pair{64u, 32u}, {61u, 35u}}) {
    const auto plain =
        write_jpeg(smooth_picture(width, height), width, height, {.horizontal = 2, .vertical = 2});
    const auto file = test::with_segment(plain, test::exif_segment(GetParam()));
    const RgbImage expected = orient(decode(plain), GetParam());
    for (const JpegMode mode : {JpegMode::kKeep, JpegMode::kLossless, JpegMode::kLossy}) {
      const auto image = normalize(file, {.jpeg = mode, .apply_exif = true});
      EXPECT_EQ(image.width, swaps ? height : width);
      EXPECT_EQ(image.height, swaps ? width : height);
      const bool untouched = mode == JpegMode::kKeep && GetParam() == 1;
      EXPECT_EQ(has_marker(image.bytes, 0xE1), untouched);
      // What was not encoded anew has its colours at half the resolution still.
      const bool whole = width % 16 == 0 && height % 16 == 0;
      const bool copied = mode != JpegMode::kLossy && (whole || GetParam() == 1 || GetParam() == 5);
      EXPECT_EQ(luma_sampling(image.bytes), copied ? 0x22 : 0x11) << width;
      EXPECT_LT(mean_error(decode(image.bytes).pixels, expected.pixels), copied ? 0.5 : 1.5);
    }
  }
}

TEST(NormalizeKinds, a_turned_image_is_limited_by_the_side_it_has_then) {
  const auto plain = write_jpeg(smooth_picture(64, 32), 64, 32);
  const auto file = test::with_segment(plain, test::exif_segment(6));
  const auto image = normalize(file, {.apply_exif = true, .max_side = 16});
  EXPECT_EQ(image.width, 8u);
  EXPECT_EQ(image.height, 16u);
}

TEST(NormalizeKinds, after_a_bad_file_the_next_one_is_as_if_there_had_been_none) {
  const auto pixels = test_picture(40, 30);
  const auto good = write_jpeg(pixels, 40, 30);
  const auto expected = normalize(good).bytes;
  ImageNormalizer normalizer({});
  for (const auto& bad : {good, png_of(pixels, 40, 30), test::write_webp(pixels, 40, 30, false)}) {
    EXPECT_THROW(normalizer.normalize(std::span(bad).first(bad.size() / 2)), storage::DataError);
    EXPECT_EQ(normalizer.normalize(good).bytes, expected);
  }
}

}  // namespace
}  // namespace bit::pipeline
