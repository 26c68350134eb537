#include "pipeline/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>
#include <vector>

namespace bit::pipeline {
namespace {

using Counter = std::array<std::uint32_t, 4>;

std::vector<std::uint64_t> values(const KeyedPermutation& permutation) {
  std::vector<std::uint64_t> result(permutation.size());
  for (std::uint64_t i = 0; i < result.size(); ++i) result[i] = permutation(i);
  return result;
}

// Sum over cells of (count - expected)^2 / expected, over the degrees of freedom: about 1 when the
// counts are uniform.
template <typename Counts>
double reduced_chi_square(const Counts& counts, double expected) {
  double sum = 0;
  for (const double count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum / static_cast<double>(counts.size() - 1);
}

// Random123 1.14, tests/kat_vectors, the lines "philox4x32 10".
TEST(Philox, gives_the_published_known_answers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, is_a_function_of_seed_epoch_and_record) {
  const auto draw = [](std::uint64_t seed, std::uint64_t epoch, std::uint64_t record) {
    RandomStream stream(seed, epoch, record);
    std::vector<std::uint32_t> words(9);
    for (auto& word : words) word = stream.next_u32();
    return words;
  };
  const auto words = draw(1, 2, 3);
  EXPECT_EQ(draw(1, 2, 3), words);
  EXPECT_NE(draw(2, 2, 3), words);
  EXPECT_NE(draw(1, 3, 3), words);
  EXPECT_NE(draw(1, 2, 4), words);
  EXPECT_NE(draw(1, 2, 3 + (std::uint64_t{1} << 32)), words);
  EXPECT_NE(draw(1 + (std::uint64_t{1} << 32), 2, 3), words);
}

TEST(RandomStream, starts_with_the_block_of_counter_zero_and_counts_on) {
  RandomStream stream(0, 0, 0);
  for (std::uint32_t block = 0; block < 3; ++block) {
    for (const std::uint32_t word : philox4x32({block, 0, 0, 0}, {0, 0})) {
      EXPECT_EQ(stream.next_u32(), word);
    }
  }
}

TEST(RandomStream, uniform_fills_its_interval_evenly) {
  std::vector<double> counts(100);
  RandomStream stream(11, 0, 0);
  for (int i = 0; i < 100'000; ++i) {
    const double value = stream.uniform(-1, 3);
    ASSERT_GE(value, -1);
    ASSERT_LT(value, 3);
    ++counts[static_cast<std::size_t>((value + 1) * 25)];
  }
  EXPECT_LT(reduced_chi_square(counts, 1000), 1.5);
}

TEST(RandomStream, below_is_even_and_stays_below) {
  RandomStream stream(12, 0, 0);
  std::vector<double> counts(7);
  for (int i = 0; i < 70'000; ++i) ++counts.at(stream.below(7));
  EXPECT_LT(reduced_chi_square(counts, 10'000), 3);
  // A bound for which a quarter of the words would fall twice on the same values without rejection.
  const std::uint32_t bound = 3U << 30;
  int low = 0;
  for (int i = 0; i < 30'000; ++i) low += stream.below(bound) < bound / 3 ? 1 : 0;
  EXPECT_NEAR(low, 10'000, 400);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(stream.below(1), 0U);
}

TEST(KeyedPermutation, is_a_bijection_of_every_small_size) {
  for (std::uint64_t size = 1; size <= 300; ++size) {
    const KeyedPermutation permutation(size, mix_key(size, 1));
    auto sorted = values(permutation);
    for (std::uint64_t i = 0; i < size; ++i) ASSERT_EQ(permutation.inverse(sorted[i]), i) << size;
    std::ranges::sort(sorted);
    for (std::uint64_t i = 0; i < size; ++i) ASSERT_EQ(sorted[i], i) << size;
  }
}

TEST(KeyedPermutation, is_inverted_at_any_size) {
  RandomStream random(3, 0, 0);
  for (unsigned bits = 8; bits < 62; ++bits) {
    for (const std::uint64_t offset : {-1, 0, 1}) {
      const std::uint64_t size = (std::uint64_t{1} << bits) + offset;
      const KeyedPermutation permutation(size, bits);
      for (int i = 0; i < 50; ++i) {
        const std::uint64_t position =
            ((std::uint64_t{random.next_u32()} << 32) | random.next_u32()) % size;
        const std::uint64_t value = permutation(position);
        ASSERT_LT(value, size);
        ASSERT_EQ(permutation.inverse(value), position) << size;
      }
    }
  }
}

TEST(KeyedPermutation, gives_every_order_of_few_items_equally_often) {
  for (std::uint64_t size = 2; size <= 5; ++size) {
    std::vector<std::uint64_t> items(size);
    std::iota(items.begin(), items.end(), 0);
    std::map<std::vector<std::uint64_t>, std::size_t> cell;
    do {
      cell.emplace(items, cell.size());
    } while (std::ranges::next_permutation(items).found);

    std::vector<double> counts(cell.size());
    const int keys = 24'000;
    for (std::uint64_t key = 0; key < keys; ++key) {
      ++counts[cell.at(values(KeyedPermutation(size, mix_key(99, key))))];
    }
    EXPECT_LT(reduced_chi_square(counts, keys / static_cast<double>(counts.size())), 4) << size;
  }
}

TEST(KeyedPermutation, sends_each_position_everywhere_and_tears_neighbours_apart) {
  const std::uint64_t size = 1000;
  std::vector<double> first(100), distance(100);
  const std::uint64_t keys = 50'000;
  for (std::uint64_t key = 0; key < keys; ++key) {
    const KeyedPermutation permutation(size, mix_key(5, key));
    const std::uint64_t a = permutation(500), b = permutation(501);
    ++first[a / 10];
    ++distance[(a + size - b) % size / 10];
  }
  EXPECT_LT(reduced_chi_square(first, keys / 100.0), 1.6);
  // A distance of 0 is impossible: the first of the 100 cells has 9 distances, not 10.
  distance[0] *= 10.0 / 9.0;
  EXPECT_LT(reduced_chi_square(distance, keys / 100.0), 1.6);
}

TEST(KeyedPermutation, of_another_key_shares_few_places) {
  const KeyedPermutation one(4096, 1), two(4096, 2);
  int equal = 0;
  for (std::uint64_t i = 0; i < 4096; ++i) equal += one(i) == two(i) ? 1 : 0;
  EXPECT_LT(equal, 10);  // 1 is expected
}

TEST(MixKey, depends_on_every_word_and_on_their_order) {
  EXPECT_EQ(mix_key(1, 2, 3, 4), mix_key(1, 2, 3, 4));
  EXPECT_NE(mix_key(1, 2, 3, 4), mix_key(2, 1, 3, 4));
  EXPECT_NE(mix_key(1, 2, 3, 4), mix_key(1, 3, 2, 4));
  EXPECT_NE(mix_key(1, 2, 3, 4), mix_key(1, 2, 4, 3));
  EXPECT_NE(mix_key(1, 2), mix_key(1, 2, 0, 1));
}

}  // namespace
}  // namespace bit::pipeline
