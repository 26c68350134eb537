// Damaged, odd and hostile JPEG data: an error that says why, or the right pixels; and the decoder
// goes on after it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "pipeline/jpeg.h"
#include "tests/unit/pipeline/jpeg_forms.h"

namespace bit::pipeline {
namespace {

class DamagedForm : public testing::TestWithParam<Form> {};

INSTANTIATE_TEST_SUITE_P(Jpeg, DamagedForm, testing::ValuesIn(kForms),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(DamagedForm, a_file_cut_short_anywhere_is_an_error_or_whole) {
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

TEST(JpegDecoder, never_takes_the_tables_of_the_image_before) {
  JpegDecoder decoder, fresh;
  const auto jpeg = picture_file(40, 30);
  // libjpeg-turbo has the standard Huffman tables for files without any, and no other ones.
  const auto no_huffman = without_segments(jpeg, kHuffmanTables);
  const auto no_quantisation = without_segments(jpeg, kQuantisationTables);
  const RgbImage expected = decode_full(fresh, no_huffman);
  auto others = with(3, 2, 2);
  others.progressive = true;  // its Huffman tables are made for it
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(failure(decoder, picture_file(90, 70, others)), "no error");
    EXPECT_EQ(decode_full(decoder, no_huffman).pixels, expected.pixels);
    EXPECT_NE(failure(decoder, no_quantisation), "no error");
  }
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

}  // namespace
}  // namespace bit::pipeline
