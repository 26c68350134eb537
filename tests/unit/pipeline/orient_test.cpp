// Pictures turned upright: pixel by pixel as the letter F shows it, and JPEGs by their
// coefficients, which turning back gives again.
#include "pipeline/convert/orient.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/support/jpeg_writer.h"

namespace bit::pipeline {
namespace {

// The letter F upright, and as a camera stores it that writes orientation 1 to 8 (Exif's own table:
// where row 0 and column 0 of what is stored are seen).
const std::vector<std::string> kUpright = {"####", "#...", "###.", "#...", "#..."};
const std::vector<std::vector<std::string>> kStored = {
    {"####", "#...", "###.", "#...", "#..."},  // 1: top, left
    {"####", "...#", ".###", "...#", "...#"},  // 2: top, right
    {"...#", "...#", ".###", "...#", "####"},  // 3: bottom, right
    {"#...", "#...", "###.", "#...", "####"},  // 4: bottom, left
    {"#####", "#.#..", "#.#..", "#...."},      // 5: left, top
    {"#....", "#.#..", "#.#..", "#####"},      // 6: right, top
    {"....#", "..#.#", "..#.#", "#####"},      // 7: right, bottom
    {"#####", "..#.#", "..#.#", "....#"},      // 8: left, bottom
};

constexpr std::uint8_t kInk = 255, kPaper = 0;

RgbImage drawn(const std::vector<std::string>& rows) {
  RgbImage image{
      static_cast<std::uint32_t>(rows[0].size()), static_cast<std::uint32_t>(rows.size()), {}};
  for (const auto& row : rows) {
    for (const char c : row)
      image.pixels.insert(image.pixels.end(), {c == '#' ? kInk : kPaper, 1, 2});
  }
  return image;
}

std::vector<std::byte> jpeg_of(std::uint32_t width, std::uint32_t height, int horizontal,
                               int vertical, int components = 3) {
  return test::write_jpeg(
      test::test_picture(width, height, components), width, height,
      {.components = components, .horizontal = horizontal, .vertical = vertical});
}

RgbImage decode(std::span<const std::byte> jpeg) {
  JpegDecoder decoder;
  decoder.open(jpeg);
  return decoder.decode_full();
}

class OrientEvery : public testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Exif, OrientEvery, testing::Range(1u, 9u));

TEST_P(OrientEvery, shows_the_letter_f_upright) {
  const RgbImage stored = drawn(kStored[GetParam() - 1]), upright = drawn(kUpright);
  const RgbImage seen = orient(stored, GetParam());
  EXPECT_EQ(seen.width, upright.width);
  EXPECT_EQ(seen.height, upright.height);
  EXPECT_EQ(seen.pixels, upright.pixels);
}

TEST_P(OrientEvery, of_a_jpeg_of_whole_blocks_is_that_of_its_pixels) {
  // Within the rounding of the inverse DCT, which does columns before rows.
  for (const int components : {1, 3}) {
    const auto file = jpeg_of(48, 32, 1, 1, components);
    const auto turned = orient_jpeg(file, GetParam());
    ASSERT_TRUE(turned);
    const RgbImage expected = orient(decode(file), GetParam()), found = decode(*turned);
    ASSERT_EQ(found.width, expected.width);
    ASSERT_EQ(found.height, expected.height);
    for (std::size_t i = 0; i < expected.pixels.size(); ++i) {
      ASSERT_NEAR(found.pixels[i], expected.pixels[i], 3) << i;
    }
  }
}

TEST_P(OrientEvery, loses_nothing_turning_back_gives_every_pixel_again) {
  const unsigned orientation = GetParam();
  const unsigned back = orientation == 6 ? 8 : orientation == 8 ? 6 : orientation;
  for (const auto& [horizontal, vertical] : {std::pair{1, 1}, {2, 1}, {2, 2}}) {
    const auto file = jpeg_of(64, 32, horizontal, vertical);
    const auto turned = orient_jpeg(file, orientation);
    ASSERT_TRUE(turned);
    const auto again = orient_jpeg(*turned, back);
    ASSERT_TRUE(again);
    EXPECT_EQ(decode(*again).pixels, decode(file).pixels);
  }
}

TEST(OrientJpeg, a_partial_block_that_would_come_first_cannot_be_turned_without_loss) {
  EXPECT_FALSE(orient_jpeg(jpeg_of(50, 32, 2, 2), 2));
  EXPECT_FALSE(orient_jpeg(jpeg_of(50, 32, 2, 2), 3));
  EXPECT_FALSE(orient_jpeg(jpeg_of(64, 33, 2, 2), 4));
  EXPECT_FALSE(orient_jpeg(jpeg_of(64, 33, 2, 2), 6));
  EXPECT_FALSE(orient_jpeg(jpeg_of(50, 32, 2, 2), 8));
}

TEST(OrientJpeg, what_is_no_jpeg_cannot_be_turned) {
  EXPECT_FALSE(orient_jpeg({}, 6));
  const std::string text = "\xFF\xD8\xFF and no more";
  EXPECT_FALSE(orient_jpeg(std::as_bytes(std::span(text)), 6));
}

}  // namespace
}  // namespace bit::pipeline
