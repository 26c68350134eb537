// Each kind of image in each of its forms, made by the libraries' writers or by hand: the pixels
// are the ones that were written; damage and bombs are errors.
#include "pipeline/convert/decode_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "storage/tfrecord.h"
#include "tests/support/image_writers.h"
#include "tests/support/jpeg_writer.h"

namespace bit::pipeline {
namespace {

using test::BmpOptions;
using test::GifOptions;
using test::PngColour;
using test::PngOptions;
using test::Rgb;
using Pixels = std::vector<std::uint8_t>;

RgbImage decode(std::span<const std::byte> file) {
  JpegDecoder jpeg;
  return decode_image(file, jpeg);
}

std::string failure(std::span<const std::byte> file) {
  try {
    decode(file);
  } catch (const storage::DataError& error) {
    return error.what();
  }
  return "";
}

void expect_image(const RgbImage& image, std::uint32_t width, std::uint32_t height,
                  const Pixels& pixels) {
  EXPECT_EQ(image.width, width);
  EXPECT_EQ(image.height, height);
  EXPECT_EQ(image.pixels, pixels);
}

std::vector<std::uint16_t> samples(std::uint32_t width, std::uint32_t height, int channels,
                                   int bits) {
  std::vector<std::uint16_t> out;
  std::uint32_t noise = 7;
  for (std::uint32_t i = 0; i < width * height * static_cast<std::uint32_t>(channels); ++i) {
    noise = noise * 1664525u + 1013904223u;
    out.push_back(static_cast<std::uint16_t>(noise >> (32 - bits)));
  }
  return out;
}

std::vector<Rgb> palette_of(std::size_t colours) {
  std::vector<Rgb> palette;
  for (std::size_t i = 0; i < colours; ++i) {
    palette.push_back({static_cast<std::uint8_t>(i * 37), static_cast<std::uint8_t>(255 - i * 11),
                       static_cast<std::uint8_t>(i * i)});
  }
  return palette;
}

Pixels colours_of(std::span<const std::uint8_t> indices, const std::vector<Rgb>& palette) {
  Pixels out;
  for (const std::uint8_t index : indices) {
    out.insert(out.end(), palette[index].begin(), palette[index].end());
  }
  return out;
}

std::vector<std::uint8_t> indices_of(int count, int colours) {
  std::vector<std::uint8_t> out;
  for (int i = 0; i < count; ++i) out.push_back(static_cast<std::uint8_t>(i * i / 3 % colours));
  return out;
}

// ---- PNG -------------------------------------------------------------------------------------

struct PngForm {
  const char* name;
  PngOptions options;
};
void PrintTo(const PngForm& form, std::ostream* out) { *out << form.name; }

const PngForm kPngForms[] = {
    {"grey_1", {PngColour::kGrey, 1}},
    {"grey_2", {PngColour::kGrey, 2}},
    {"grey_4", {PngColour::kGrey, 4}},
    {"grey_8", {PngColour::kGrey, 8}},
    {"grey_16", {PngColour::kGrey, 16}},
    {"grey_8_transparent", {.colour = PngColour::kGrey, .transparent = true}},
    {"grey_alpha_8", {PngColour::kGreyAlpha, 8}},
    {"grey_alpha_16", {PngColour::kGreyAlpha, 16}},
    {"rgb_8", {PngColour::kRgb, 8}},
    {"rgb_8_interlaced", {PngColour::kRgb, 8, true}},
    {"rgb_8_transparent", {.colour = PngColour::kRgb, .transparent = true}},
    {"rgb_16", {PngColour::kRgb, 16}},
    {"rgba_8", {PngColour::kRgba, 8}},
    {"rgba_16_interlaced", {PngColour::kRgba, 16, true}},
    {"palette_1", {PngColour::kPalette, 1, false, palette_of(2)}},
    {"palette_4_interlaced", {PngColour::kPalette, 4, true, palette_of(16)}},
    {"palette_8_transparent", {PngColour::kPalette, 8, false, palette_of(256), true}},
};

int channels_of(PngColour colour) {
  switch (colour) {
    case PngColour::kGreyAlpha:
      return 2;
    case PngColour::kRgb:
      return 3;
    case PngColour::kRgba:
      return 4;
    default:
      return 1;
  }
}

Pixels expected_of(const std::vector<std::uint16_t>& in, const PngOptions& options) {
  Pixels out;
  const auto byte = [&](std::uint16_t sample) {
    if (options.bits == 16) return static_cast<std::uint8_t>(sample >> 8);
    return static_cast<std::uint8_t>(sample * 255 / ((1 << options.bits) - 1));
  };
  const auto channels = static_cast<std::size_t>(channels_of(options.colour));
  for (std::size_t i = 0; i < in.size(); i += channels) {
    for (std::size_t c = 0; c < 3; ++c) {
      out.push_back(options.colour == PngColour::kPalette ? options.palette[in[i]][c]
                                                          : byte(in[channels < 3 ? i : i + c]));
    }
  }
  return out;
}

class EveryPng : public testing::TestWithParam<PngForm> {};
INSTANTIATE_TEST_SUITE_P(Png, EveryPng, testing::ValuesIn(kPngForms),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(EveryPng, has_the_colours_that_were_written) {
  const PngOptions& options = GetParam().options;
  for (const auto& [width, height] : {std::pair{13u, 11u}, {1u, 1u}, {64u, 3u}}) {
    const auto in = samples(width, height, channels_of(options.colour), options.bits);
    expect_image(decode(test::write_png(in, width, height, options)), width, height,
                 expected_of(in, options));
  }
}

TEST_P(EveryPng, is_refused_when_cut_anywhere) {
  const PngOptions& options = GetParam().options;
  const auto in = samples(13, 11, channels_of(options.colour), options.bits);
  const auto file = test::write_png(in, 13, 11, options);
  for (std::size_t size = 8; size < file.size(); ++size) {
    EXPECT_TRUE(failure(std::span(file).first(size)).starts_with("PNG: ")) << size;
  }
}

TEST(Png, flipped_bits_in_the_picture_are_noticed) {
  const auto file = test::write_png(samples(40, 30, 3, 8), 40, 30, {});
  for (std::size_t at = 60; at + 20 < file.size(); at += 131) {  // inside IDAT
    auto damaged = file;
    damaged[at] ^= std::byte{0x10};
    EXPECT_TRUE(failure(damaged).starts_with("PNG: ")) << at;
  }
}

// A PNG's header with a correct checksum and nothing behind it.
std::vector<std::byte> png_header_claiming(std::uint8_t width_high, std::uint32_t checksum) {
  const std::uint8_t bytes[] = {0x89,
                                'P',
                                'N',
                                'G',
                                13,
                                10,
                                26,
                                10,
                                0,
                                0,
                                0,
                                13,
                                'I',
                                'H',
                                'D',
                                'R',
                                0,
                                0,
                                width_high,
                                0,
                                0,
                                0,
                                0x40,
                                0,
                                8,
                                2,
                                0,
                                0,
                                0,
                                static_cast<std::uint8_t>(checksum >> 24),
                                static_cast<std::uint8_t>(checksum >> 16),
                                static_cast<std::uint8_t>(checksum >> 8),
                                static_cast<std::uint8_t>(checksum),
                                0,
                                0,
                                0,
                                0,
                                'I',
                                'D',
                                'A',
                                'T',
                                0x35,
                                0xAF,
                                0x06,
                                0x1E};
  const auto view = std::as_bytes(std::span(bytes));
  return {view.begin(), view.end()};
}

TEST(Png, a_header_that_promises_what_the_file_cannot_hold_is_refused_before_memory_is_taken) {
  // 0x4000 and 0x8000 columns of 0x4000 rows; checksums from zlib's crc32.
  EXPECT_EQ(failure(png_header_claiming(0x40, 0x26AA87D3)),
            "PNG: the file is too small for its pixels");
  EXPECT_EQ(failure(png_header_claiming(0x80, 0x8703ABA3)),
            "PNG: 32768 x 16384 pixels: more than 2^28 pixels");
}

// ---- WebP ------------------------------------------------------------------------------------

TEST(Webp, lossless_has_the_pixels_that_were_written) {
  const auto pixels = test::test_picture(37, 23);
  expect_image(decode(test::write_webp(pixels, 37, 23, true)), 37, 23, pixels);
}

TEST(Webp, the_colours_under_transparent_pixels_show) {
  const auto rgba = test::test_picture(20, 10, 4);
  Pixels expected;
  for (std::size_t i = 0; i < rgba.size(); i += 4) {
    expected.insert(expected.end(), {rgba[i], rgba[i + 1], rgba[i + 2]});
  }
  expect_image(decode(test::write_webp(rgba, 20, 10, true)), 20, 10, expected);
}

TEST(Webp, lossy_is_close_to_what_was_written_with_alpha_and_without) {
  for (const int channels : {3, 4}) {
    Pixels pixels;
    for (int i = 0; i < 48 * 32; ++i) {
      const int x = i % 48, y = i / 48;
      pixels.insert(pixels.end(),
                    {static_cast<std::uint8_t>(x * 5), static_cast<std::uint8_t>(y * 7),
                     static_cast<std::uint8_t>(128 + x - y)});
      if (channels == 4) pixels.push_back(static_cast<std::uint8_t>(255 - i % 100));
    }
    const RgbImage image = decode(test::write_webp(pixels, 48, 32, false));
    ASSERT_EQ(image.pixels.size(), 48u * 32 * 3);
    for (std::size_t i = 0; i < 48 * 32; ++i) {
      for (std::size_t c = 0; c < 3; ++c) {
        EXPECT_NEAR(image.pixels[i * 3 + c], pixels[i * static_cast<std::size_t>(channels) + c],
                    16);
      }
    }
  }
}

void append(std::vector<std::byte>& out, std::string_view text) {
  for (const char c : text) out.push_back(static_cast<std::byte>(c));
}
void append_number(std::vector<std::byte>& out, std::size_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

// Two frames of 10 x 6: `still`'s picture with its corner at (4, 2) of 20 x 12, and the same again.
std::vector<std::byte> animation(std::span<const std::byte> still, std::size_t canvas_width = 20) {
  std::vector<std::byte> body;
  append(body, "WEBPVP8X");
  append_number(body, 10, 4);
  append_number(body, 0x02, 4);  // an animation
  append_number(body, canvas_width - 1, 3);
  append_number(body, 12 - 1, 3);
  append(body, "ANIM");
  append_number(body, 6, 4);
  append_number(body, 0xFFFFFFFF, 4);  // background
  append_number(body, 0, 2);
  for (int frame = 0; frame < 2; ++frame) {
    const auto chunks = still.subspan(12);  // without RIFF, its size, WEBP
    append(body, "ANMF");
    append_number(body, 16 + chunks.size(), 4);
    append_number(body, 2, 3);  // x / 2
    append_number(body, 1, 3);
    append_number(body, 10 - 1, 3);
    append_number(body, 6 - 1, 3);
    append_number(body, 100, 3);  // milliseconds
    append_number(body, 0, 1);
    body.insert(body.end(), chunks.begin(), chunks.end());
  }
  std::vector<std::byte> file;
  append(file, "RIFF");
  append_number(file, body.size(), 4);
  file.insert(file.end(), body.begin(), body.end());
  return file;
}

TEST(Webp, of_an_animation_the_first_frame_is_taken_on_black) {
  const auto pixels = test::test_picture(10, 6);
  Pixels expected(20 * 12 * 3);
  for (std::size_t y = 0; y < 6; ++y) {
    std::copy_n(&pixels[y * 30], 30, &expected[((y + 2) * 20 + 4) * 3]);
  }
  const auto file = animation(test::write_webp(pixels, 10, 6, true));
  expect_image(decode(file), 20, 12, expected);
  EXPECT_TRUE(failure(std::span(file).first(90)).starts_with("WebP: "));
}

TEST(Webp, a_frame_outside_of_its_canvas_is_refused) {
  const auto still = test::write_webp(test::test_picture(10, 6), 10, 6, true);
  EXPECT_TRUE(failure(animation(still, 12)).starts_with("WebP: "));
}

TEST(Webp, is_refused_when_cut_anywhere) {
  for (const bool lossless : {false, true}) {
    const auto file = test::write_webp(test::test_picture(30, 20), 30, 20, lossless);
    for (std::size_t size = 12; size + 1 < file.size(); size += 3) {
      EXPECT_TRUE(failure(std::span(file).first(size)).starts_with("WebP: ")) << size;
    }
  }
}

// ---- BMP -------------------------------------------------------------------------------------

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

// ---- GIF -------------------------------------------------------------------------------------

TEST(Gif, has_the_colours_of_its_first_frame) {
  const auto palette = palette_of(64);
  const auto indices = indices_of(21 * 19, 64);
  for (const bool interlaced : {false, true}) {
    for (const bool local : {false, true}) {
      const GifOptions options{
          .palette = palette, .interlaced = interlaced, .local_palette = local};
      expect_image(decode(test::write_gif(indices, 21, 19, options)), 21, 19,
                   colours_of(indices, palette));
    }
  }
}

TEST(Gif, around_a_small_frame_is_the_transparent_colour_or_colour_0) {
  const auto palette = palette_of(4);
  const std::vector<std::uint8_t> indices = {1, 2, 3, 1, 1, 1};  // 3 x 2 at (1, 1) of 5 x 4
  for (const int ground : {0, 2}) {
    GifOptions options{
        .palette = palette, .left = 1, .top = 1, .canvas_width = 5, .canvas_height = 4};
    if (ground != 0) options.transparent = ground;
    const auto g = static_cast<std::uint8_t>(ground);
    const std::vector<std::uint8_t> canvas = {g, g, g, g, g, g, 1, 2, 3, g,
                                              g, 1, 1, 1, g, g, g, g, g, g};
    expect_image(decode(test::write_gif(indices, 3, 2, options)), 5, 4,
                 colours_of(canvas, palette));
  }
}

TEST(Gif, a_frame_that_sticks_out_makes_the_canvas_larger) {
  const auto palette = palette_of(2);
  const std::vector<std::uint8_t> indices = {1, 1, 1, 1};
  const GifOptions options{.palette = palette, .left = 1};
  expect_image(decode(test::write_gif(indices, 2, 2, options)), 3, 2,
               colours_of(std::vector<std::uint8_t>{0, 1, 1, 0, 1, 1}, palette));
}

TEST(Gif, is_refused_when_cut_before_the_end_of_its_first_frame) {
  const auto indices = indices_of(21 * 19, 64);
  const auto file = test::write_gif(indices, 21, 19, {.palette = palette_of(64)});
  std::size_t good = file.size();
  while (good > 0 && failure(std::span(file).first(good - 1)).empty()) --good;
  EXPECT_GT(good, 13u + 64 * 3 + 10 + 21 * 19 / 4);  // header, palette, frame's header, some pixels
  EXPECT_LT(good, file.size());                      // the second frame is not needed
  for (std::size_t size = 6; size < good; ++size) {
    EXPECT_TRUE(failure(std::span(file).first(size)).starts_with("GIF: ")) << size;
  }
}

TEST(Gif, a_canvas_beyond_the_limits_is_refused) {
  const std::vector<std::uint8_t> one = {1};
  const auto palette = palette_of(2);
  EXPECT_EQ(failure(test::write_gif(
                one, 1, 1, {.palette = palette, .canvas_width = 65535, .canvas_height = 1})),
            "GIF: 65535 x 1 pixels: more than 65500 a side");
  EXPECT_EQ(failure(test::write_gif(
                one, 1, 1, {.palette = palette, .canvas_width = 60000, .canvas_height = 60000})),
            "GIF: 60000 x 60000 pixels: more than 2^28 pixels");
}

// ---- All ---------------------------------------------------------------------------------------

TEST(DecodeImage, an_unknown_kind_and_an_empty_file_are_told_apart) {
  EXPECT_EQ(failure({}), "an empty file");
  for (const std::string_view text : {"<!DOCTYPE html>", "RIFF0000WAVE", "\xFF\xD8", "GIF90a"}) {
    EXPECT_EQ(failure(std::as_bytes(std::span(text))),
              "not an image of a known kind (JPEG, PNG, WebP, BMP, GIF)");
  }
}

TEST(DecodeImage, samples_are_good_or_bad_as_their_names_say) {
  int samples = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(BIT_SOURCE_DIR "/tests/data/images")) {
    const std::string name = entry.path().filename();
    std::ifstream stream(entry.path(), std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_EQ(failure(std::as_bytes(std::span(content))).empty(), name.starts_with("good_"))
        << name << ": " << failure(std::as_bytes(std::span(content)));
    ++samples;
  }
  EXPECT_GT(samples, 50);
}

TEST(DecodeImage, any_byte_may_be_wrong) {
  const auto rgb = test::test_picture(12, 9);
  const auto palette = palette_of(16);
  const auto indices = indices_of(12 * 9, 16);
  const std::vector<std::vector<std::byte>> files = {
      test::write_png(samples(12, 9, 3, 8), 12, 9, {}),
      test::write_png(samples(12, 9, 1, 4), 12, 9, {PngColour::kPalette, 4, true, palette}),
      test::write_webp(rgb, 12, 9, true),
      test::write_webp(rgb, 12, 9, false),
      animation(test::write_webp(test::test_picture(10, 6), 10, 6, true)),
      test::write_gif(indices, 12, 9, {.palette = palette}),
      test::write_bmp(indices, 12, 9, {.bits = 8, .palette = palette}),
  };
  int good = 0, bad = 0;
  for (const auto& file : files) {
    for (std::size_t at = 0; at < file.size(); ++at) {
      auto damaged = file;
      damaged[at] ^= std::byte{0xFF};
      JpegDecoder jpeg;
      try {
        const RgbImage image = decode_image(damaged, jpeg);
        EXPECT_EQ(image.pixels.size(), std::size_t{image.width} * image.height * 3);
        ++good;
      } catch (const storage::DataError&) {
        ++bad;
      }
    }
  }
  EXPECT_GT(good, 0);
  EXPECT_GT(bad, good / 4);
}

}  // namespace
}  // namespace bit::pipeline
