// What AcCodes says of the next bits, for all 2^16 of them, against a reading of the codes bit by
// bit (ITU-T T.81 §F.2.2).
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>
#include <optional>

#include "pipeline/jpeg/ac_codes.h"

namespace bit::pipeline {
namespace {

struct Symbol {
  std::uint32_t symbol = 0, length = 0;
};

// T.81 figure F.16: the code grows until it is not above the last one of its length.
std::optional<Symbol> read_symbol(const HuffmanTable& table, std::uint32_t bits16) {
  std::uint32_t first = 0, symbols = 0;
  for (std::uint32_t length = 1; length <= 16; ++length) {
    const std::uint32_t code = bits16 >> (16 - length);
    const std::uint32_t count = table.counts[length];
    if (code >= first && code < first + count) {
      return Symbol{table.symbols[symbols + code - first], length};
    }
    symbols += count;
    first = (first + count) * 2;
  }
  return std::nullopt;
}

// T.81 table F.2.
std::int32_t extend(std::uint32_t bits, std::uint32_t size) {
  const auto value = static_cast<std::int32_t>(bits);
  return bits < 1U << (size - 1) ? value - (1 << size) + 1 : value;
}

// The entry, for 16 bits after which `rest` follow.
void check(const HuffmanTable& table, const AcCodes& codes, std::uint32_t bits16,
           std::uint64_t rest) {
  const std::uint64_t bits = std::uint64_t{bits16} << 48 | (rest & 0xFFFFFFFFFFFF);
  const auto known = read_symbol(table, bits16);
  const std::uint32_t run = known ? known->symbol >> 4 : 0, size = known ? known->symbol & 15 : 0;
  const bool bad = !known || size > 10 || (size == 0 && run != 0 && run != 15);
  const HuffmanDecoder::Entry all = codes.all().find(bits);
  ASSERT_EQ((all >> 8 & 255) == HuffmanDecoder::kBad, bad) << bits16;
  const AcCodes::Entry entry = codes.entries()[bits >> (64 - AcCodes::kLookBits)];
  if (bad) {
    ASSERT_EQ(entry, 0U) << bits16;
    return;
  }
  ASSERT_EQ(all >> 24, known->symbol) << bits16;
  ASSERT_EQ(all >> 16 & 255, known->length) << bits16;
  ASSERT_EQ(all & 255, known->length + size) << bits16;
  // Its code and the sign after it have to be seen.
  const bool quick = known->length + (size > 0 ? 1 : 0) <= AcCodes::kLookBits && size <= 7;
  ASSERT_EQ(entry != 0, quick) << bits16;
  const std::uint32_t passed = known->symbol == 0 ? AcCodes::kEndOfBlock : run + 1;
  ASSERT_EQ(all >> 8 & 255, passed) << bits16;
  if (!quick) return;
  ASSERT_EQ(entry & 255, known->length + size) << bits16;
  ASSERT_LE(entry & 255, AcCodes::kMaxBits) << bits16;
  ASSERT_EQ(entry >> 8 & 255, passed) << bits16;
  ASSERT_EQ(entry >> 16 & 255, size) << bits16;
  const std::uint32_t written =
      static_cast<std::uint32_t>(bits >> (64 - known->length - size)) & ((1U << size) - 1);
  const std::int32_t value =
      static_cast<std::int32_t>(written) + (static_cast<std::int32_t>(entry) >> 24);
  ASSERT_EQ(value, size == 0 ? 0 : extend(written, size)) << bits16;
}

void check_all(const HuffmanTable& table) {
  AcCodes codes;
  ASSERT_TRUE(codes.assign(table));
  for (std::uint32_t bits = 0; bits < 1U << 16; ++bits) {
    check(table, codes, bits, 0x9E3779B97F4A7C15U * bits);
    if (testing::Test::HasFatalFailure()) return;
  }
}

// One code of each length, as many zeros passed by as it is long.
HuffmanTable comb(std::uint8_t size) {
  HuffmanTable table;
  for (int length = 1; length <= 16; ++length) {
    table.counts[length] = 1;
    table.symbols[length - 1] = static_cast<std::uint8_t>((length - 1) << 4 | size);
  }
  return table;
}

TEST(AcCodes, agree_with_the_codes_bit_by_bit_for_each_length_and_size) {
  for (std::uint8_t size = 0; size < 16; ++size) {
    check_all(comb(size));
    ASSERT_FALSE(HasFatalFailure()) << int{size};
  }
}

TEST(AcCodes, know_the_end_of_a_block_and_sixteen_zeros) {
  // 0: the end; 10: sixteen zeros; 110: a coefficient of two bits after three zeros; no others.
  const HuffmanTable table{{0, 1, 1, 1}, {0x00, 0xF0, 0x32}};
  AcCodes codes;
  ASSERT_TRUE(codes.assign(table));
  const auto entry = [&](std::uint32_t bits, int count) {
    return codes.entries()[bits << (AcCodes::kLookBits - count)];
  };
  EXPECT_EQ(entry(0b0, 1), 1U | AcCodes::kEndOfBlock << 8);
  EXPECT_EQ(entry(0b10, 2), 2U | 16U << 8);
  EXPECT_EQ(entry(0b11001, 5), 5U | 4U << 8 | 2U << 16 | 0xFDU << 24);  // 1 - 3
  EXPECT_EQ(entry(0b11011, 5), 5U | 4U << 8 | 2U << 16);                // 3
  EXPECT_EQ(entry(0b1110, 4), 0U);
}

TEST(AcCodes, refuse_what_is_no_table) {
  AcCodes codes;
  EXPECT_FALSE(codes.assign({{0, 2}, {1, 2}}));           // one of all ones
  EXPECT_FALSE(codes.assign({{0, 1, 3}, {1, 2, 3, 4}}));  // more than there are
  EXPECT_TRUE(codes.assign({}));
  EXPECT_EQ(codes.entries()[0], 0U);
}

// Tables as libjpeg makes them, from few symbols to all.
RC_GTEST_PROP(AcCodes, agree_with_the_codes_bit_by_bit_for_any_table, ()) {
  std::array<std::uint32_t, 256> counts{};
  const auto symbols = *rc::gen::inRange(1, 257);
  for (int i = 0; i < symbols; ++i) {
    const auto scale = *rc::gen::inRange(0, 20);
    counts[*rc::gen::arbitrary<std::uint8_t>()] = 1 + (1U << scale);
  }
  const auto table = optimal_huffman_table(counts);
  RC_PRE(table.has_value());
  check_all(*table);
  RC_ASSERT(!testing::Test::HasFatalFailure());
}

}  // namespace
}  // namespace bit::pipeline
