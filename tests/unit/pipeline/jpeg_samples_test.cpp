// From coefficients to RGB on every instruction set: the inverse DCT against libjpeg's, upsampling
// and colours against the formulas of libjpeg (jdsample.c, jdcolor.c), and values known by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "pipeline/jpeg/color_simd.h"
#include "pipeline/jpeg/idct_simd.h"
#include "tests/support/every_target.h"
#include "tests/unit/pipeline/jpeg_strip_forms.h"

namespace bit::pipeline {
namespace {

using test::on_every_target;

struct alignas(64) Tile {
  std::array<std::int16_t, kTileCoefficients> values{};
  // Coefficient `i`, by row, of block `block`.
  std::int16_t& at(std::size_t block, std::size_t i) {
    return values[i / 8 * kTileRow + block * 8 + i % 8];
  }
};

struct alignas(16) Table {
  std::array<std::int16_t, 64> values;
};

Table table_of(std::int16_t value) {
  Table table;
  table.values.fill(value);
  return table;
}

TEST(InverseDct, gives_a_flat_block_an_eighth_of_its_constant_coefficient) {
  on_every_target([](const char* target) {
    for (int constant = -1100; constant <= 1100; ++constant) {
      Tile tile;
      for (std::size_t block = 0; block < kTileBlocks; ++block) {
        tile.at(block, 0) = static_cast<std::int16_t>(constant + static_cast<int>(block));
      }
      Bytes out(8 * kTileRow);
      ASSERT_TRUE(
          inverse_dct(tile.values.data(), 1, table_of(1).values.data(), 8, out.data(), kTileRow));
      for (std::size_t i = 0; i < out.size(); ++i) {
        const int dc = constant + static_cast<int>(i % kTileRow / 8);
        const int expected = std::clamp(128 + ((dc + 4) >> 3), 0, 255);  // halves go up
        ASSERT_EQ(out[i], expected) << target << ", " << dc;
      }
    }
  });
}

TEST(InverseDct, leaves_a_first_row_of_14_bits_to_libjpeg) {
  on_every_target([](const char* target) {
    for (std::size_t i = 0; i < 64; ++i) {
      for (std::size_t block = 0; block < 3 * kTileBlocks; ++block) {
        const auto accepted = [&](std::int16_t coefficient, std::int16_t factor) {
          std::array<Tile, 3> tiles;
          tiles[block / kTileBlocks].at(block % kTileBlocks, i) = coefficient;
          Bytes out(8 * 3 * kTileRow);
          return inverse_dct(tiles[0].values.data(), 3, table_of(factor).values.data(), 8,
                             out.data(), 3 * kTileRow);
        };
        ASSERT_TRUE(accepted(8191, 1)) << target << " " << i;
        ASSERT_TRUE(accepted(-8191, 1)) << target << " " << i;
        ASSERT_EQ(accepted(8192, 1), i >= 8) << target << " " << i;
        ASSERT_EQ(accepted(-8192, 1), i >= 8) << target << " " << i;
        ASSERT_EQ(accepted(-256, 128), i >= 8) << target << " " << i;  // -32768
        ASSERT_TRUE(accepted(512, 128)) << target << " " << i;  // 0 of 16 bits, as libjpeg has it
      }
    }
  });
}

// Blocks of few and of many coefficients, from the smallest to what overflows 16 bits on its way.
TEST(InverseDct, gives_libjpegs_samples_whatever_the_coefficients) {
  constexpr std::uint32_t kColumns = 37, kRows = 29;
  std::mt19937 random(3);
  StripDecoder decoder;
  JpegDecoder libjpeg(JpegMethod::kLibjpeg);
  for (int round = 0; round < 60; ++round) {
    std::array<std::uint8_t, 64> quantization;
    const std::uint32_t largest_factor = round % 3 == 0 ? 1 : round % 3 == 1 ? 40 : 255;
    for (auto& factor : quantization) {
      factor = static_cast<std::uint8_t>(1 + below(random, largest_factor));
    }
    std::vector<std::int16_t> coefficients(std::size_t{64} * kColumns * kRows);
    const std::uint32_t share = 1 + below(random, 8);
    const int limit = 1 << (1 + below(random, 10));
    for (std::size_t i = 0; i < coefficients.size(); ++i) {
      if (below(random, 8) >= share) continue;
      const int value = static_cast<int>(below(random, 2 * limit - 1)) - (limit - 1);
      const int most = i % 64 < 8 ? 8191 / quantization[i % 64] : 1023;
      coefficients[i] = static_cast<std::int16_t>(std::clamp(value, -most, most));
    }
    const auto jpeg = test::write_coefficients(coefficients, kColumns, kRows, quantization);
    const RgbImage whole = decode_full(libjpeg, jpeg);
    on_every_target([&](const char* target) {
      const auto strip = decode_strip(decoder, jpeg, {0, 0, 8 * kColumns, 8 * kRows});
      ASSERT_TRUE(strip.has_value()) << target << ", round " << round;
      ASSERT_TRUE(*strip == whole.pixels) << target << ", round " << round;
    });
    ASSERT_FALSE(HasFatalFailure());
  }
}

Bytes noise(std::mt19937& random, std::size_t size) {
  Bytes bytes(size);
  for (auto& byte : bytes) {  // with the extremes often
    const std::uint32_t any = below(random, 512);
    byte = static_cast<std::uint8_t>(any < 256 ? any : any < 384 ? 0 : 255);
  }
  return bytes;
}

TEST(Upsampling, weighs_the_nearer_sample_three_times) {
  on_every_target([](const char* target) {
    Bytes in(4 + kRowSlack), out(4 + 2 * kRowSlack);
    std::copy_n(Bytes{10, 10, 20, 20}.begin(), 4, in.begin());  // two samples and their neighbours
    upsample_horizontally(in.data(), 2, out.data());
    EXPECT_EQ(Bytes(out.begin(), out.begin() + 4), (Bytes{10, 13, 17, 20})) << target;
    Bytes far = in;
    std::copy_n(Bytes{50, 11, 0, 255}.begin(), 4, far.begin());
    upsample_vertically(in.data(), far.data(), 4, 1, out.data());
    EXPECT_EQ(Bytes(out.begin(), out.begin() + 4), (Bytes{20, 10, 15, 79})) << target;
    upsample_vertically(in.data(), far.data(), 4, 2, out.data());
    EXPECT_EQ(Bytes(out.begin(), out.begin() + 4), (Bytes{20, 10, 15, 79})) << target;
    std::vector<std::uint16_t> sums(4 + kRowSlack);
    sum_rows(in.data(), far.data(), 4, sums.data());
    EXPECT_EQ((std::vector<std::uint16_t>(sums.begin(), sums.begin() + 4)),
              (std::vector<std::uint16_t>{80, 41, 60, 315}))
        << target;
    upsample_sums(sums.data(), 2, out.data());
    // (123 + 80 + 8) / 16, (123 + 60 + 7) / 16, (180 + 41 + 8) / 16, (180 + 315 + 7) / 16
    EXPECT_EQ(Bytes(out.begin(), out.begin() + 4), (Bytes{13, 11, 14, 31})) << target;
  });
}

TEST(Upsampling, follows_libjpegs_formula_for_rows_of_any_length) {
  std::mt19937 random(4);
  for (std::size_t count = 1; count < 150; ++count) {
    const Bytes near = noise(random, count + 2 + kRowSlack), far = noise(random, near.size());
    Bytes wide(2 * count), both(2 * count), upper(count), lower(count);
    const auto sum = [&](std::size_t i) { return 3 * near[i] + far[i]; };
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = i + 1;  // after the neighbour
      wide[2 * i] = static_cast<std::uint8_t>((3 * near[at] + near[at - 1] + 1) >> 2);
      wide[2 * i + 1] = static_cast<std::uint8_t>((3 * near[at] + near[at + 1] + 2) >> 2);
      both[2 * i] = static_cast<std::uint8_t>((3 * sum(at) + sum(at - 1) + 8) >> 4);
      both[2 * i + 1] = static_cast<std::uint8_t>((3 * sum(at) + sum(at + 1) + 7) >> 4);
      upper[i] = static_cast<std::uint8_t>((sum(i) + 1) >> 2);
      lower[i] = static_cast<std::uint8_t>((sum(i) + 2) >> 2);
    }
    on_every_target([&](const char* target) {
      Bytes out(2 * count + kRowSlack);
      const auto first = [&](std::size_t size) {
        return Bytes(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size));
      };
      upsample_horizontally(near.data(), count, out.data());
      ASSERT_EQ(first(2 * count), wide) << target;
      upsample_vertically(near.data(), far.data(), count, 1, out.data());
      ASSERT_EQ(first(count), upper) << target;
      upsample_vertically(near.data(), far.data(), count, 2, out.data());
      ASSERT_EQ(first(count), lower) << target;
      std::vector<std::uint16_t> sums(count + 2 + kRowSlack);
      sum_rows(near.data(), far.data(), count + 2, sums.data());
      upsample_sums(sums.data(), count, out.data());
      ASSERT_EQ(first(2 * count), both) << target;
    });
    ASSERT_FALSE(HasFatalFailure()) << count;
  }
}

// jdcolor.c, build_ycc_rgb_table() and ycc_rgb_convert(): 16 bits of fraction.
TEST(YccToRgb, follows_libjpegs_formula_for_all_colours) {
  const auto limit = [](int value) {
    return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
  };
  on_every_target([&](const char* target) {
    Bytes y(256 + kRowSlack), cb(y.size()), cr(y.size()), out(3 * 256), expected(out.size());
    const RgbPlanes planes{&out[0], &out[256], &out[512]};
    for (std::size_t i = 0; i < 256; ++i) y[i] = static_cast<std::uint8_t>(i);
    for (int blue = 0; blue < 256; ++blue) {
      std::fill(cb.begin(), cb.end(), static_cast<std::uint8_t>(blue));
      for (int red = 0; red < 256; ++red) {
        std::fill(cr.begin(), cr.end(), static_cast<std::uint8_t>(red));
        const int half = 1 << 15, u = blue - 128, v = red - 128;
        const int to_red = (91881 * v + half) >> 16, to_blue = (116130 * u + half) >> 16;
        const int to_green = (-22554 * u - 46802 * v + half) >> 16;
        for (int i = 0; i < 256; ++i) {
          expected[i] = limit(i + to_red);
          expected[256 + i] = limit(i + to_green);
          expected[512 + i] = limit(i + to_blue);
        }
        ycc_to_rgb(y.data(), cb.data(), cr.data(), 256, planes);
        ASSERT_EQ(out, expected) << target << " " << blue << " " << red;
      }
    }
  });
}

TEST(YccToRgb, knows_pure_colours_and_rows_of_any_length) {
  on_every_target([](const char* target) {
    // Red, green, blue and white (JFIF 1.02, rounded).
    const Bytes colours[] = {{76, 85, 255}, {150, 44, 21}, {29, 255, 107}, {255, 128, 128}};
    const Bytes rgb[] = {{254, 0, 0}, {0, 255, 1}, {0, 0, 254}, {255, 255, 255}};
    for (std::size_t count = 1; count < 100; ++count) {
      Bytes y(count + kRowSlack), cb(y.size()), cr(y.size());
      const std::size_t plane = (count + kColorUnit - 1) / kColorUnit * kColorUnit;
      Bytes out(3 * plane), interleaved(3 * plane);
      const RgbPlanes planes{&out[0], &out[plane], &out[2 * plane]};
      for (std::size_t i = 0; i < count; ++i) {
        y[i] = colours[i % 4][0], cb[i] = colours[i % 4][1], cr[i] = colours[i % 4][2];
      }
      ycc_to_rgb(y.data(), cb.data(), cr.data(), count, planes);
      interleave_rgb(planes, count, interleaved.data());
      for (std::size_t i = 0; i < 3 * count; ++i) {
        ASSERT_EQ(interleaved[i], rgb[i / 3 % 4][i % 3]) << target << " " << i << " of " << count;
        ASSERT_EQ(out[i % 3 * plane + i / 3], interleaved[i]) << target << " " << i;
      }
    }
  });
}

}  // namespace
}  // namespace bit::pipeline
