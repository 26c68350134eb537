// PNGs of every colour type and depth have the colours that were written; damage and bombs are
// errors.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/pipeline/decode_fixture.h"

namespace bit::pipeline {
namespace {

using test::PngColour;
using test::PngOptions;

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

}  // namespace
}  // namespace bit::pipeline
