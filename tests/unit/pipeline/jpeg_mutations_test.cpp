// Damage of every kind: whatever a file has become, all ways to decode it give the same pixels or
// an error, and what StripDecoder refuses libjpeg judges. See tests/support/jpeg_ways.h.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <iterator>

#include "tests/support/jpeg_crafted.h"
#include "tests/support/jpeg_ways.h"
#include "tests/unit/pipeline/jpeg_strip_forms.h"

namespace bit::pipeline {
namespace {

using File = std::vector<std::byte>;
using test::JpegWays;

constexpr std::uint64_t kMaxPixels = 1 << 17;

std::byte byte(std::uint32_t value) { return static_cast<std::byte>(value); }

std::ptrdiff_t index(std::size_t i) { return static_cast<std::ptrdiff_t>(i); }

// Where the coded data begins.
std::size_t scan_of(const File& file) {
  std::size_t at = 2;
  for (;;) {
    const bool scan = file[at + 1] == byte(0xDA);
    at += 2 + (std::to_integer<std::size_t>(file[at + 2]) << 8 |
               std::to_integer<std::size_t>(file[at + 3]));
    if (scan) return at;
  }
}

// Of the restart markers.
std::vector<std::size_t> markers_of(const File& file) {
  std::vector<std::size_t> markers;
  for (std::size_t i = scan_of(file); i + 1 < file.size(); ++i) {
    if (file[i] == byte(0xFF) && (file[i + 1] & byte(0xF8)) == byte(0xD0)) markers.push_back(i);
  }
  return markers;
}

File without(File file, std::size_t begin, std::size_t end) {
  file.erase(file.begin() + index(begin), file.begin() + index(end));
  return file;
}

File with_inserted(File file, std::size_t at, const File& bytes) {
  file.insert(file.begin() + index(at), bytes.begin(), bytes.end());
  return file;
}

JpegOptions small_restarts(JpegOptions options, unsigned interval) {
  options.restart_interval = interval;
  options.quality = 75;
  return options;
}

struct Counts {
  int files = 0, strip = 0, both = 0;

  void add(const JpegWays::Result& result) {
    ++files;
    strip += result.strip ? 1 : 0;
    both += result.strip && result.libjpeg ? 1 : 0;
  }
};

// By all ways, with two of several crops.
void compare(JpegWays& ways, const File& file, Counts& counts, const std::string& what) {
  for (int i = 0; i < 2; ++i) {
    const std::uint32_t choice = i == 0 ? 0 : 26003U * static_cast<std::uint32_t>(counts.files);
    const auto result = ways.compare(file, choice, kMaxPixels);
    counts.add(result);
    ASSERT_EQ(result.broken, nullptr) << result.broken << ": " << what << ", " << choice;
  }
}

class DamagedStrip : public testing::TestWithParam<Form> {};
// Grey and YCbCr: RGB is coded no differently.
INSTANTIATE_TEST_SUITE_P(Jpeg, DamagedStrip, testing::ValuesIn(kStripForms, kStripForms + 6),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(DamagedStrip, cut_short_at_every_byte) {
  JpegWays ways;
  Counts counts;
  for (const unsigned interval : {0U, 1U, 3U}) {
    const File file = picture_file(35, 19, small_restarts(GetParam().options, interval));
    for (std::size_t size = 0; size <= file.size(); ++size) {
      const File part(file.begin(), file.begin() + index(size));
      compare(ways, part, counts, std::to_string(size) + " of " + std::to_string(file.size()));
      ASSERT_FALSE(HasFatalFailure());
    }
  }
  EXPECT_GT(counts.both, 20);
}

TEST_P(DamagedStrip, each_byte_changed) {
  JpegWays ways;
  Counts counts;
  for (const unsigned interval : {0U, 2U}) {
    const File file = picture_file(33, 17, small_restarts(GetParam().options, interval));
    for (std::size_t i = 0; i < file.size(); ++i) {
      for (const std::uint32_t change : {0x01U, 0x80U, 0xFFU, 0x100U}) {
        File damaged = file;
        damaged[i] = change == 0x100U ? byte(0xFF) : damaged[i] ^ byte(change);
        compare(ways, damaged, counts, "byte " + std::to_string(i));
        ASSERT_FALSE(HasFatalFailure());
      }
    }
  }
  EXPECT_GT(counts.both, 150);
}

TEST_P(DamagedStrip, restart_markers_wrong_missing_surplus_or_moved) {
  JpegWays ways;
  Counts counts;
  for (const unsigned interval : {1U, 2U, 3U, 7U}) {
    const File file = picture_file(41, 35, small_restarts(GetParam().options, interval));
    const auto markers = markers_of(file);
    for (std::size_t i = 0; i < markers.size(); ++i) {
      const std::size_t at = markers[i];
      const std::string where = "marker " + std::to_string(i);
      std::vector<File> damaged;
      for (std::uint32_t code = 0xC0; code < 0xE0; ++code) {
        damaged.push_back(file);
        damaged.back()[at + 1] = byte(code);
      }
      damaged.push_back(without(file, at, at + 2));
      damaged.push_back(without(file, at - 1, at));
      damaged.push_back(without(file, at + 2, at + 3));
      damaged.push_back(with_inserted(file, at, {file[at], file[at + 1]}));
      damaged.push_back(with_inserted(file, at, {byte(0xFF)}));  // a fill byte: legal
      damaged.push_back(with_inserted(file, at, {byte(0x00)}));
      damaged.push_back(with_inserted(file, at + 2, {byte(0x00)}));
      if (i + 1 < markers.size()) damaged.push_back(without(file, at, markers[i + 1]));
      if (i + 8 < markers.size()) damaged.push_back(without(file, at, markers[i + 8]));
      for (const File& one : damaged) compare(ways, one, counts, where);
      ASSERT_FALSE(HasFatalFailure());
    }
  }
  EXPECT_GT(counts.both, 150);
}

TEST_P(DamagedStrip, markers_and_nothing_among_the_coded_bytes) {
  JpegWays ways;
  Counts counts;
  const File file = picture_file(35, 18, small_restarts(GetParam().options, 3));
  const auto scan = static_cast<std::uint32_t>(scan_of(file));
  for (std::size_t at = scan; at < file.size(); ++at) {
    for (const std::uint32_t code : {0x00U, 0x01U, 0xD0U, 0xD1U, 0xD9U, 0xFFU}) {
      compare(ways, with_inserted(file, at, {byte(0xFF), byte(code)}), counts,
              "marker at " + std::to_string(at));
    }
    compare(ways, without(file, at, at + 1), counts, "without " + std::to_string(at));
    ASSERT_FALSE(HasFatalFailure());
  }
  EXPECT_GT(counts.both, 50);
}

// A change somewhere in `file`; half of them in the coded data.
File mutated(std::mt19937& random, File file) {
  const auto scan = static_cast<std::uint32_t>(scan_of(file));
  for (std::uint32_t changes = 1 + below(random, 3); changes > 0; --changes) {
    const auto size = static_cast<std::uint32_t>(file.size());
    if (size < scan + 8) return file;
    const std::size_t at =
        below(random, 2) == 0 ? below(random, size) : scan + below(random, size - scan);
    const std::size_t end = std::min<std::size_t>(size, at + 1 + below(random, 6));
    switch (below(random, 7)) {
      case 0:
        file[at] ^= byte(1U << below(random, 8));
        break;
      case 1:
        file[at] = byte(below(random, 256));
        break;
      case 2:
        file = without(file, at, end);
        break;
      case 3:
        file = with_inserted(file, at, File(1 + below(random, 5), byte(below(random, 256))));
        break;
      case 4:
        file = with_inserted(file, at, File(file.begin() + index(at), file.begin() + index(end)));
        break;
      case 5:
        file = with_inserted(file, at, {byte(0xFF), byte(0xD0 + below(random, 8))});
        break;
      default:
        std::reverse(file.begin() + index(at), file.begin() + index(end));
    }
  }
  return file;
}

RC_GTEST_PROP(DamagedJpeg, gives_the_same_pixels_by_all_ways_or_an_error, ()) {
  const Form form =
      *rc::gen::elementOf(std::vector<Form>(std::begin(kStripForms), std::end(kStripForms)));
  RC_LOG() << form.name;
  JpegOptions options = form.options;
  options.quality = *rc::gen::element(5, 75, 98);
  options.optimized = *rc::gen::arbitrary<bool>();
  options.restart_interval = *rc::gen::element(0U, 1U, 3U, 4U, 9U);
  const auto width = *rc::gen::inRange<std::uint32_t>(5, 90);
  const auto height = *rc::gen::inRange<std::uint32_t>(1, 90);
  const auto seed = *rc::gen::inRange(0U, 100000U);
  const File file =
      write_jpeg(test_picture(width, height, options.components, seed), width, height, options);
  std::mt19937 random(seed);
  JpegWays ways;
  for (int i = 0; i < 100; ++i) {
    const File damaged = mutated(random, file);
    const std::uint32_t choice = below(random, 1 << 20);
    const auto result = ways.compare(damaged, choice, kMaxPixels);
    if (result.broken != nullptr) RC_FAIL(result.broken);
  }
}

// Bits at random under a sound header: blocks of any length, levels that overflow, intervals that
// end anywhere. Crops near the top are whole before the bits go wrong.
TEST(DamagedJpeg, of_random_bits_gives_the_same_pixels_by_all_ways_or_an_error) {
  std::mt19937 random(6);
  JpegWays ways;
  Counts counts;
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes(test::kCraftedHeader + below(random, 600));
    for (auto& one : bytes) one = static_cast<std::uint8_t>(below(random, 256));
    if (i % 4 != 0) bytes[3] = 0;  // no restarts
    if (i % 2 == 0) bytes[5] = static_cast<std::uint8_t>(bytes[5] % 8);
    if (i % 3 != 0) bytes[4] = 0;  // blocks end soon
    const auto result = ways.compare(test::crafted_jpeg(bytes), below(random, 1 << 20), kMaxPixels);
    counts.add(result);
    ASSERT_EQ(result.broken, nullptr) << result.broken << ": " << i;
  }
  EXPECT_GT(counts.both, 2000);
}

}  // namespace
}  // namespace bit::pipeline
