// BMPs made by hand, in each of their forms.
#include <gtest/gtest.h>

#include "tests/unit/pipeline/decode_fixture.h"

namespace bit::pipeline {
namespace {

using test::BmpOptions;

// A picture of 3 x 2: red, green, blue above black, grey, white.
const Pixels kSix = {255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 128, 128, 128, 255, 255, 255};
const std::vector<Rgb> kSixPalette = {{255, 0, 0}, {0, 255, 0},     {0, 0, 255},
                                      {0, 0, 0},   {128, 128, 128}, {255, 255, 255}};

void expect_six(const std::vector<std::byte>& file) { expect_image(decode(file), 3, 2, kSix); }

TEST(Bmp, of_24_bits_stands_on_its_last_row) {
  const Pixels rows = {0, 0, 0,   128, 128, 128, 255, 255, 255, 0, 0, 0,  // padded to 12 bytes
                       0, 0, 255, 0,   255, 0,   255, 0,   0,   0, 0, 0};
  expect_six(test::write_bmp(rows, 3, 2, {}));
  expect_six(test::write_bmp(rows, 3, 2, {.os2 = true}));
  Pixels swapped(rows.begin() + 12, rows.end());
  swapped.insert(swapped.end(), rows.begin(), rows.begin() + 9);  // the last padding is left out
  expect_six(test::write_bmp(swapped, 3, 2, {.top_down = true}));
}

TEST(Bmp, of_32_bits_drops_the_fourth_byte) {
  const Pixels rows = {0, 0, 0,   9, 128, 128, 128, 9, 255, 255, 255, 9,
                       0, 0, 255, 9, 0,   255, 0,   9, 255, 0,   0,   9};
  expect_six(test::write_bmp(rows, 3, 2, {.bits = 32}));
}

TEST(Bmp, of_32_bits_with_masks_takes_its_channels_from_them) {
  const Pixels rows = {9, 0,   0, 0, 9, 128, 128, 128, 9, 255, 255, 255,
                       9, 255, 0, 0, 9, 0,   255, 0,   9, 0,   0,   255};
  expect_six(test::write_bmp(
      rows, 3, 2, {.bits = 32, .compression = 3, .masks = {0x0000FF00, 0x00FF0000, 0xFF000000}}));
}

TEST(Bmp, of_16_bits_is_555_or_as_its_masks_say) {
  // One row: red, green, blue, and the weakest red, padded to 8 bytes.
  const Pixels five_five_five = {0x00, 0x7C, 0xE0, 0x03, 0x1F, 0x00, 0x00, 0x04};
  const Pixels expected = {255, 0, 0, 0, 255, 0, 0, 0, 255, 8, 0, 0};
  expect_image(decode(test::write_bmp(five_five_five, 4, 1, {.bits = 16})), 4, 1, expected);
  const Pixels five_six_five = {0x00, 0xF8, 0xE0, 0x07, 0x1F, 0x00, 0x00, 0x08};
  expect_image(
      decode(test::write_bmp(five_six_five, 4, 1,
                             {.bits = 16, .compression = 3, .masks = {0xF800, 0x07E0, 0x001F}})),
      4, 1, expected);
}

TEST(Bmp, with_a_palette_looks_its_colours_up) {
  const std::vector<Rgb>& palette = kSixPalette;
  expect_six(
      test::write_bmp(Pixels{3, 4, 5, 0, 0, 1, 2, 0}, 3, 2, {.bits = 8, .palette = palette}));
  expect_six(test::write_bmp(Pixels{0x34, 0x50, 0, 0, 0x01, 0x20, 0, 0}, 3, 2,
                             {.bits = 4, .palette = palette}));
  const Pixels two = {0xA0, 0, 0, 0};  // 1 0 1
  expect_image(decode(test::write_bmp(two, 3, 1, {.bits = 1, .palette = {{1, 2, 3}, {4, 5, 6}}})),
               3, 1, {4, 5, 6, 1, 2, 3, 4, 5, 6});
}

TEST(Bmp, a_colour_that_the_palette_lacks_is_black) {
  const Pixels rows = {0, 7, 0, 0};
  expect_image(decode(test::write_bmp(rows, 2, 1, {.bits = 8, .palette = {{9, 8, 7}}})), 2, 1,
               {9, 8, 7, 0, 0, 0});
}

TEST(Bmp, run_lengths_of_8_bits_repeat_copy_and_jump) {
  const auto palette = palette_of(256);
  // From the bottom: 3 of colour 5 and 2 as they are; a step of (1, 1) from the row's start, then
  // one pixel; the end.
  const Pixels runs = {3, 5, 0, 3, 6, 7, 8, 0, 0, 0, 0, 2, 1, 1, 1, 9, 0, 1};
  Pixels expected = colours_of(
      std::vector<std::uint8_t>{0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 5, 5, 6, 7, 8}, palette);
  expect_image(
      decode(test::write_bmp(runs, 6, 3, {.bits = 8, .compression = 1, .palette = palette})), 6, 3,
      expected);
}

TEST(Bmp, run_lengths_of_4_bits_alternate_two_colours) {
  const auto palette = palette_of(16);
  const Pixels runs = {5, 0x12, 0, 0, 0, 5, 0x34, 0x56, 0x70, 0, 0, 1};
  const Pixels expected =
      colours_of(std::vector<std::uint8_t>{3, 4, 5, 6, 7, 1, 2, 1, 2, 1}, palette);
  expect_image(
      decode(test::write_bmp(runs, 5, 2, {.bits = 4, .compression = 2, .palette = palette})), 5, 2,
      expected);
}

TEST(Bmp, is_refused_when_cut_anywhere) {
  const BmpOptions plain{.bits = 8, .palette = kSixPalette};
  const BmpOptions runs{.bits = 8, .compression = 1, .palette = kSixPalette};
  for (const auto& file : {test::write_bmp(Pixels{3, 4, 5, 0, 0, 1, 2}, 3, 2, plain),
                           test::write_bmp(Pixels{3, 4, 0, 0, 3, 5, 0, 1}, 3, 2, runs)}) {
    EXPECT_EQ(failure(file), "");
    for (std::size_t size = 2; size < file.size(); ++size) {
      EXPECT_TRUE(failure(std::span(file).first(size)).starts_with("BMP: ")) << size;
    }
  }
}

TEST(Bmp, what_its_header_promises_is_checked_before_memory_is_taken) {
  EXPECT_EQ(failure(test::write_bmp({}, 70000, 2, {})),
            "BMP: 70000 x 2 pixels: more than 65500 a side");
  EXPECT_EQ(failure(test::write_bmp({}, 65500, 65500, {})),
            "BMP: 65500 x 65500 pixels: more than 2^28 pixels");
  EXPECT_EQ(failure(test::write_bmp({}, 10000, 10000, {})), "BMP: the data ends inside the image");
  EXPECT_EQ(failure(test::write_bmp({}, 0, 5, {})), "BMP: 0 x 5 pixels: an empty image");
  EXPECT_NE(failure(test::write_bmp({}, 4, 4, {.bits = 7})), "");
  EXPECT_NE(failure(test::write_bmp({}, 4, 4, {.bits = 24, .compression = 4})), "");
  EXPECT_EQ(failure(test::write_bmp(Pixels(64), 4, 4,
                                    {.bits = 32, .compression = 3, .masks = {0xA0, 0xF00, 0x1}})),
            "BMP: a broken mask");
}

}  // namespace
}  // namespace bit::pipeline
