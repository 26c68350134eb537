// WebP and GIF by their libraries' writers; what all kinds share: telling them apart, samples,
// damage anywhere.
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
#include "tests/unit/pipeline/decode_fixture.h"

namespace bit::pipeline {
namespace {

using test::GifOptions;
using test::PngColour;

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
