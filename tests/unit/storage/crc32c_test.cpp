// CRC-32C against published values, and the two implementations against each other.
#include "storage/crc32c.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>

#include "storage/crc32c_parts.h"
#include "storage/hash64.h"
#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

std::vector<std::byte> noise(std::size_t bytes) {
  std::vector<std::byte> result(bytes);
  std::uint32_t state = 12345;
  for (std::byte& byte : result) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return result;
}

// RFC 3720 B.4 and the check value of the CRC catalogue.
TEST(Crc32c, agrees_with_published_values) {
  using Function = std::uint32_t (*)(std::span<const std::byte>, std::uint32_t);
  for (const Function function : {Function{crc32c}, Function{crc32c_portable}}) {
    EXPECT_EQ(function(bytes_of(""), 0), 0u);
    EXPECT_EQ(function(bytes_of("123456789"), 0), 0xE3069283u);
    EXPECT_EQ(function(std::vector<std::byte>(32, std::byte{0}), 0), 0x8A9136AAu);
    EXPECT_EQ(function(std::vector<std::byte>(32, std::byte{0xFF}), 0), 0x62A8AB43u);
    std::vector<std::byte> ascending(32);
    for (std::size_t i = 0; i < 32; ++i) ascending[i] = static_cast<std::byte>(i);
    EXPECT_EQ(function(ascending, 0), 0x46DD794Eu);
  }
}

TEST(Crc32c, is_the_same_with_tables_and_with_the_instruction_at_every_length_and_alignment) {
  // On a CPU without the instruction crc32c() is the tables, and this compares them with
  // themselves.
  const auto bytes = noise(60'000);
  for (std::size_t begin = 0; begin < 9; ++begin) {
    for (std::size_t size = 0; size < 900; ++size) {
      const auto part = std::span(bytes).subspan(begin, size);
      ASSERT_EQ(crc32c(part), crc32c_portable(part, 0)) << begin << " " << size;
    }
  }
  for (const std::size_t size : {24'575, 24'576, 24'577, 25'344, 49'152, 50'000, 59'999}) {
    const auto part = std::span(bytes).first(size);
    EXPECT_EQ(crc32c(part, 77), crc32c_portable(part, 77)) << size;
  }
}

RC_GTEST_PROP(Crc32c, continues_from_the_checksum_of_what_came_before, ()) {
  const auto bytes = noise(*rc::gen::inRange<std::size_t>(0, 60'000));
  const auto cut = *rc::gen::inRange<std::size_t>(0, bytes.size() + 1);
  const auto all = std::span(bytes);
  RC_ASSERT(crc32c(all.subspan(cut), crc32c(all.first(cut))) == crc32c(all));
}

TEST(Crc32c, mask_is_that_of_tfrecord_and_comes_off_again) {
  // The header of every empty record: length 0, masked checksum of eight zero bytes.
  EXPECT_EQ(mask_crc32c(crc32c(std::vector<std::byte>(8))), 0x07980329u);
  for (const std::uint32_t crc : {0u, 1u, 0xFFFFFFFFu, 0xE3069283u}) {
    EXPECT_EQ(unmask_crc32c(mask_crc32c(crc)), crc);
    EXPECT_NE(mask_crc32c(crc), crc);
  }
}

// Stored in indexes, so it must never change.
TEST(Hash64, is_the_same_for_ever) {
  EXPECT_EQ(hash_text(""), 16760284063755336091u);
  EXPECT_EQ(hash_text("n01440764_10026.JPEG"), 4906027305454783551u);
  Hash64 words;
  for (std::uint64_t i = 0; i < 5; ++i) words.add(i);
  EXPECT_EQ(words.value(), 5461416769694403137u);
}

TEST(Hash64, tells_apart_texts_that_are_equal_when_joined) {
  Hash64 first;
  first.add("ab");
  first.add("c");
  Hash64 second;
  second.add("a");
  second.add("bc");
  EXPECT_NE(first.value(), second.value());
  EXPECT_NE(hash_text(std::string(3, '\0')), hash_text(std::string(4, '\0')));
}

}  // namespace
}  // namespace bit::storage
