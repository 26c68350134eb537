// Coding a JPEG anew: the symbols' way gives the bytes that libjpeg's coefficients give, for every
// form, size, marker and damage; what it does not know it leaves to libjpeg.
#include "pipeline/convert/jpeg_transcode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "pipeline/convert/jpeg_symbols.h"
#include "pipeline/jpeg/entropy.h"
#include "pipeline/jpeg/header.h"
#include "tests/unit/pipeline/jpeg_forms.h"

namespace bit::pipeline {
namespace {

using File = std::vector<std::byte>;

std::optional<File> through_libjpeg(std::span<const std::byte> file,
                                    const TranscodeOptions& options = {}) {
  try {
    return transcode_with_libjpeg(file, options);
  } catch (const storage::DataError&) {
    return std::nullopt;
  }
}

Bytes pixels(std::span<const std::byte> jpeg) {
  JpegDecoder decoder;
  return decode_full(decoder, jpeg).pixels;
}

bool ordinary(const JpegOptions& options) { return !options.progressive && !options.arithmetic; }

std::size_t find(const File& file, std::string_view bytes) {
  const auto wanted = std::as_bytes(std::span(bytes));
  const auto found = std::search(file.begin(), file.end(), wanted.begin(), wanted.end());
  EXPECT_NE(found, file.end());
  return static_cast<std::size_t>(found - file.begin());
}

// Without the segment that starts with these bytes.
File without_segment(File file, std::string_view marker) {
  const auto at = static_cast<std::ptrdiff_t>(find(file, marker));
  const auto length = std::to_integer<int>(file[at + 2]) << 8 | std::to_integer<int>(file[at + 3]);
  file.erase(file.begin() + at, file.begin() + at + 2 + length);
  return file;
}

class TranscodeForm : public testing::TestWithParam<Form> {};
INSTANTIATE_TEST_SUITE_P(Jpeg, TranscodeForm, testing::ValuesIn(kForms),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(TranscodeForm, every_size_gives_the_bytes_that_libjpeg_gives) {
  const auto& options = GetParam().options;
  for (const bool intervals : {true, false}) {
    for (const std::uint32_t width : {1u, 8u, 9u, 17u, 33u, 64u, 101u, 330u}) {
      for (const std::uint32_t height : {1u, 8u, 15u, 67u}) {
        const auto file = picture_file(width, height, options);
        const TranscodeOptions transcode{.restart_intervals = intervals};
        const auto expected = through_libjpeg(file, transcode);
        const auto symbols = transcode_symbols(file, transcode);
        ASSERT_EQ(symbols.has_value(), ordinary(options)) << width << " x " << height;
        ASSERT_TRUE(!symbols || symbols == expected) << width << " x " << height;
        ASSERT_EQ(transcode_jpeg(file, transcode), expected) << width << " x " << height;
      }
    }
  }
}

TEST_P(TranscodeForm, pixels_stay) {
  for (const auto& [width, height] : {std::pair{96u, 64u}, {101u, 67u}, {17u, 5u}}) {
    const auto file = picture_file(width, height, GetParam().options);
    EXPECT_EQ(pixels(transcode_jpeg(file, {})), pixels(file)) << width << " x " << height;
  }
}

TEST_P(TranscodeForm, a_changed_bit_anywhere_is_accepted_only_as_libjpeg_accepts_it) {
  if (!ordinary(GetParam().options)) return;  // libjpeg's alone: there is nothing to compare
  auto file = picture_file(40, 24, GetParam().options);
  std::size_t accepted = 0;
  for (std::size_t i = 2; i < file.size(); ++i) {
    const auto bit = std::byte{1} << (i * 5 % 8);
    file[i] ^= bit;
    const auto symbols = transcode_symbols(file, {});
    if (symbols) {
      ++accepted;
      auto whole = file;  // a missing end marker alone is forgiven
      whole.insert(whole.end(), {std::byte{0xFF}, std::byte{0xD9}});
      ASSERT_EQ(symbols, through_libjpeg(whole)) << "byte " << i;
    }
    file[i] ^= bit;
  }
  EXPECT_GT(accepted, 0u);  // quantisation tables, at least
  EXPECT_LT(accepted, file.size());
}

TEST(JpegTranscode, many_qualities_give_the_bytes_that_libjpeg_gives) {
  for (const int quality : {1, 5, 20, 50, 75, 95, 100}) {
    for (const std::uint32_t seed : {1u, 2u, 3u}) {
      JpegOptions options = with(3, 2, 2);
      options.quality = quality;
      const auto file = write_jpeg(test_picture(200, 120, 3, seed), 200, 120, options);
      const auto symbols = transcode_symbols(file, {});
      ASSERT_TRUE(symbols.has_value()) << quality;
      EXPECT_EQ(symbols, through_libjpeg(file)) << quality;
    }
  }
}

TEST(JpegTranscode, the_colours_are_those_of_the_markers_and_component_names) {
  const auto jfif = picture_file(50, 30, with(3, 2, 1));
  const auto bare = without_segment(jfif, "\xFF\xE0");
  auto rgb = bare;
  const std::size_t frame = find(rgb, "\xFF\xC0") + 10;
  const std::size_t scan = find(rgb, "\xFF\xDA") + 5;
  for (std::size_t i = 0; i < 3; ++i) rgb[frame + 3 * i] = rgb[scan + 2 * i] = std::byte("RGB"[i]);
  auto odd = bare;  // names that say nothing
  for (std::size_t i = 0; i < 3; ++i) odd[frame + 3 * i] = odd[scan + 2 * i] = std::byte("xyz"[i]);
  const std::string_view adobe(
      "\xFF\xEE\0\x0E"
      "Adobe\0d\0\0\0\0",
      15);
  std::vector<File> files = {jfif, bare, rgb, odd};
  for (const char transform : {'\0', '\1', '\2', '\7'}) {
    auto file = bare;
    auto segment = std::string(adobe);
    segment.push_back(transform);
    const auto bytes = std::as_bytes(std::span(segment));
    file.insert(file.begin() + 2, bytes.begin(), bytes.end());
    files.push_back(file);
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto symbols = transcode_symbols(files[i], {});
    ASSERT_TRUE(symbols.has_value()) << i;
    EXPECT_EQ(symbols, through_libjpeg(files[i])) << i;
    EXPECT_EQ(pixels(*symbols), pixels(files[i])) << i;
  }
  EXPECT_NE(pixels(rgb), pixels(bare));
}

TEST(JpegTranscode, only_the_last_two_bytes_may_be_missing) {
  for (const unsigned interval : {0u, 2u}) {
    JpegOptions options = with(3, 2, 2);
    options.restart_interval = interval;
    const auto file = picture_file(64, 48, options);
    const auto whole = transcode_jpeg(file, {});
    for (std::size_t size = 0; size < file.size(); ++size) {
      const auto cut = std::span(file).first(size);
      if (size + 2 < file.size()) {
        EXPECT_THROW(transcode_jpeg(cut, {}), storage::DataError) << size;
      } else {
        EXPECT_EQ(transcode_jpeg(cut, {}), whole) << size;
      }
    }
  }
}

TEST(JpegTranscode, what_stands_after_the_end_is_ignored) {
  const auto file = picture_file(64, 48, with(3, 2, 2));
  auto longer = file;
  longer.insert(longer.end(), file.begin(), file.end());  // as in a multi-picture file
  EXPECT_EQ(transcode_symbols(longer, {}), through_libjpeg(file));
}

TEST(JpegTranscode, restart_markers_out_of_order_or_lost_are_refused) {
  const auto file = picture_file(64, 48, restarts(with(3, 1, 1)));
  const std::size_t first = find(file, "\xFF\xD0"), second = find(file, "\xFF\xD1");
  auto swapped = file;
  std::swap(swapped[first + 1], swapped[second + 1]);
  auto lost = file;
  lost.erase(lost.begin() + static_cast<std::ptrdiff_t>(first),
             lost.begin() + static_cast<std::ptrdiff_t>(first) + 2);
  auto undeclared = without_segment(file, "\xFF\xDD");
  for (const auto& damaged : {swapped, lost, undeclared}) {
    EXPECT_EQ(transcode_symbols(damaged, {}), std::nullopt);
    EXPECT_THROW(transcode_jpeg(damaged, {}), storage::DataError);
  }
}

// A grey file of blocks given as bits: '0' is a DC difference of 0, '10' one of 2047 (eleven bits
// follow); of AC, '00' ends the block, '01' is sixteen zeros, '10' a coefficient of one bit after
// no zeros, '110' after fifteen, '1110' one of eleven bits, and '11110' a symbol that means
// nothing.
File grey_file(std::uint16_t width, std::uint16_t height, std::string_view bits) {
  JpegHeader header;
  header.width = width;
  header.height = height;
  header.components = {{.id = 1}};
  header.quantization[0].emplace().fill(1);
  header.dc[0] = HuffmanTable{{0, 1, 1}, {0, 11}};
  header.ac[0] = HuffmanTable{{0, 0, 3, 1, 1, 1}, {0x00, 0xF0, 0x01, 0xF1, 0x0B, 0x50}};
  EntropyCoded coded{std::make_unique<std::uint8_t[]>(bits.size() / 8 + 16), {}};
  BitWriter writer(coded.bytes.get());
  for (const char bit : bits) writer.put(bit == '1', 1);
  coded.ends = {static_cast<std::size_t>(writer.finish() - coded.bytes.get())};
  File file;
  write_jpeg_header(header, file);
  put_entropy_coded(coded, file);
  return file;
}

TEST(JpegTranscode, blocks_coded_as_encoders_do_go_through_as_symbols) {
  std::string full = "0110111011101";           // three coefficients after fifteen zeros each,
  for (int k = 49; k < 64; ++k) full += "101";  // and all others to the last: no end is written
  const std::string empty = "000", one = "010100", after_47_zeros = "00101110100";
  for (const std::string& bits : {empty, one, after_47_zeros, full}) {
    const auto file = grey_file(8, 8, bits);
    const auto symbols = transcode_symbols(file, {});
    ASSERT_TRUE(symbols.has_value()) << bits;
    EXPECT_EQ(symbols, through_libjpeg(file)) << bits;
    EXPECT_EQ(pixels(*symbols), pixels(file)) << bits;
  }
}

TEST(JpegTranscode, blocks_coded_as_no_encoder_does_are_left_to_libjpeg) {
  const std::string zeros_then_end = "00100", more_zeros_then_end = "001010100";
  const std::string zeros_beyond = "001010101", coefficient_beyond = "011011101110111011101";
  const std::string eleven_bits = "011101111111111100", meaningless = "01111000";
  for (const std::string& bits : {zeros_then_end, more_zeros_then_end, zeros_beyond,
                                  coefficient_beyond, eleven_bits, meaningless}) {
    const auto file = grey_file(8, 8, bits);
    EXPECT_EQ(transcode_symbols(file, {}), std::nullopt) << bits;
    EXPECT_EQ(transcode_jpeg(file, {}), through_libjpeg(file)) << bits;
  }
  const auto no_code = grey_file(8, 8, "01111111111111111");
  EXPECT_EQ(transcode_symbols(no_code, {}), std::nullopt);
  EXPECT_THROW(transcode_jpeg(no_code, {}), storage::DataError);
}

TEST(JpegTranscode, a_level_that_a_restart_could_not_state_keeps_the_file_as_it_is) {
  const std::string flat = "000", up = std::string("1011111111111") + "00";
  // 4094 where the fifth block starts the second interval
  const auto file = grey_file(16, 24, up + up + flat + flat + flat + flat);
  EXPECT_EQ(transcode_symbols(file, {}), std::nullopt);
  EXPECT_EQ(transcode_jpeg(file, {}), file);
  const TranscodeOptions without{.restart_intervals = false};
  ASSERT_TRUE(transcode_symbols(file, without).has_value());
  EXPECT_EQ(transcode_symbols(file, without), through_libjpeg(file, without));
}

}  // namespace
}  // namespace bit::pipeline
