// The orientation is found in either byte order; whatever else the bytes are, the answer is 1.
#include "pipeline/convert/exif.h"

#include <gtest/gtest.h>

#include <string_view>

#include "tests/support/exif_segment.h"
#include "tests/support/jpeg_writer.h"

namespace bit::pipeline {
namespace {

using test::exif_segment;
using test::with_segment;

std::vector<std::byte> jpeg() { return test::write_jpeg(test::test_picture(8, 8), 8, 8); }

TEST(Exif, says_how_the_camera_was_held_in_either_byte_order) {
  for (unsigned orientation = 1; orientation <= 8; ++orientation) {
    for (const bool big_endian : {false, true}) {
      const auto file = with_segment(jpeg(), exif_segment(orientation, big_endian));
      EXPECT_EQ(exif_orientation(file), orientation) << big_endian;
    }
  }
}

TEST(Exif, a_file_that_says_nothing_or_nonsense_is_upright) {
  EXPECT_EQ(exif_orientation({}), 1u);
  EXPECT_EQ(exif_orientation(jpeg()), 1u);
  for (const unsigned nonsense : {0u, 9u, 0xFFFFu}) {
    EXPECT_EQ(exif_orientation(with_segment(jpeg(), exif_segment(nonsense))), 1u);
  }
}

TEST(Exif, other_segments_and_fill_bytes_before_it_do_not_hide_it) {
  auto segment = exif_segment(6);
  segment.insert(segment.begin(), {std::byte{0xFF}, std::byte{0xE1}, std::byte{0}, std::byte{4},
                                   std::byte{'h'}, std::byte{'t'}, std::byte{0xFF}});
  EXPECT_EQ(exif_orientation(with_segment(jpeg(), segment)), 6u);
}

TEST(Exif, of_the_picture_behind_the_start_of_scan_nothing_is_taken) {
  auto file = jpeg();
  const auto segment = exif_segment(6);
  file.insert(file.end() - 2, segment.begin(), segment.end());
  EXPECT_EQ(exif_orientation(file), 1u);
}

TEST(Exif, cut_or_broken_anywhere_it_gives_1_to_8) {
  const auto file = with_segment(jpeg(), exif_segment(6));
  const std::size_t end = exif_segment(6).size() + 2;
  for (std::size_t at = 0; at < end; ++at) {
    EXPECT_EQ(exif_orientation(std::span(file).first(at)), 1u) << at;
    for (const unsigned value : {0u, 1u, 0x7Fu, 0xFFu}) {
      auto broken = file;
      broken[at] = static_cast<std::byte>(value);
      const unsigned orientation = exif_orientation(broken);
      EXPECT_TRUE(orientation >= 1 && orientation <= 8) << at;
    }
  }
}

}  // namespace
}  // namespace bit::pipeline
