// Huffman tables: the fewest bits, never more than sixteen, never all ones; and what is no table.
#include <gtest/gtest.h>

#include <numeric>
#include <utility>

#include "pipeline/jpeg/huffman.h"

namespace bit::pipeline {
namespace {

using Counts = std::array<std::uint32_t, 256>;

std::uint64_t total_bits(const Counts& counts, const std::array<HuffmanCode, 256>& codes) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < counts.size(); ++i)
    bits += std::uint64_t{counts[i]} * codes[i].length;
  return bits;
}

TEST(JpegHuffman, frequent_symbols_get_short_codes_and_ties_go_by_symbol) {
  Counts counts{};
  counts[5] = 8;
  counts[9] = 4;
  counts[7] = 2;
  counts[1] = 2;
  const auto table = optimal_huffman_table(counts);
  ASSERT_TRUE(table.has_value());
  // With the stand-in of count 1: lengths 1, 2, 3, 4 and 4 of it.
  EXPECT_EQ(table->counts, (std::array<std::uint8_t, 17>{0, 1, 1, 1, 1}));
  EXPECT_EQ(
      (std::array{table->symbols[0], table->symbols[1], table->symbols[2], table->symbols[3]}),
      (std::array<std::uint8_t, 4>{5, 9, 1, 7}));
}

TEST(JpegHuffman, a_single_symbol_gets_the_code_0_of_one_bit) {
  Counts counts{};
  counts[42] = 3;
  const auto codes = huffman_codes(optimal_huffman_table(counts).value());
  ASSERT_TRUE(codes.has_value());
  EXPECT_EQ((*codes)[42].length, 1);
  EXPECT_EQ((*codes)[42].bits, 0);
}

TEST(JpegHuffman, all_symbols_alike_get_eight_or_nine_bits) {
  Counts counts;
  counts.fill(1000);
  const auto table = optimal_huffman_table(counts);
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(table->counts[8], 255);
  EXPECT_EQ(table->counts[9], 1);  // its sibling is the stand-in
}

TEST(JpegHuffman, fibonacci_counts_are_shortened_to_sixteen_bits) {
  Counts counts{};
  std::uint32_t a = 1, b = 2;  // the stand-in is the sequence's first 1
  for (int i = 0; i < 28; ++i) {
    counts[i] = a;
    a = std::exchange(b, a + b);
  }
  const auto table = optimal_huffman_table(counts);
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(std::accumulate(table->counts.begin(), table->counts.end(), 0), 28);
  const auto codes = huffman_codes(*table);
  ASSERT_TRUE(codes.has_value());
  for (int i = 0; i < 28; ++i) EXPECT_GT((*codes)[i].length, 0) << i;
  // No worse than a fixed length of five bits, which 28 symbols and the stand-in would take.
  EXPECT_LT(total_bits(counts, *codes), 5 * std::accumulate(counts.begin(), counts.end(), 0ull));
  for (int i = 28; i < 36; ++i) {
    counts[i] = a;
    a = std::exchange(b, a + b);
  }
  EXPECT_EQ(optimal_huffman_table(counts), std::nullopt);
}

TEST(JpegHuffman, too_many_codes_and_codes_of_all_ones_are_no_table) {
  const HuffmanTable all_ones{{0, 2}, {1, 2}};
  const HuffmanTable overfull{{0, 1, 3}, {1, 2, 3, 4}};
  HuffmanTable many{};
  many.counts[15] = many.counts[16] = 255;
  HuffmanDecoder decoder;
  for (const auto& table : {all_ones, overfull, many}) {
    EXPECT_EQ(huffman_codes(table), std::nullopt);
    EXPECT_FALSE(decoder.assign(table, HuffmanDecoder::Kind::kAc));
  }
  const HuffmanTable high_dc{{0, 1}, {16}};
  EXPECT_FALSE(decoder.assign(high_dc, HuffmanDecoder::Kind::kDc));
  EXPECT_TRUE(decoder.assign(high_dc, HuffmanDecoder::Kind::kAc));
}

TEST(JpegHuffman, every_code_is_found_whatever_its_length) {
  HuffmanTable table{};
  for (int length = 1; length <= 16; ++length) {
    table.counts[length] = 1;
    table.symbols[length - 1] = static_cast<std::uint8_t>(length % 11);  // of no run
  }
  HuffmanDecoder decoder;
  ASSERT_TRUE(decoder.assign(table, HuffmanDecoder::Kind::kAc));
  for (std::uint32_t length = 1; length <= 16; ++length) {
    const std::uint64_t ones = ~std::uint64_t{0} << (65 - length);  // and a zero after them
    const auto entry = decoder.find(length == 1 ? 0 : ones);
    EXPECT_EQ(entry >> 16 & 255, length);
    EXPECT_EQ(entry >> 24, length % 11);
    EXPECT_EQ(entry & 255, length + length % 11);
  }
  EXPECT_EQ(decoder.find(~std::uint64_t{0}) >> 8 & 255, HuffmanDecoder::kBad);
}

}  // namespace
}  // namespace bit::pipeline
