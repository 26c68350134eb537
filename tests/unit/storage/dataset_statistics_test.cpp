// Statistics of an index against numbers worked out by hand, and of orders whose mixing is known.
#include "storage/dataset_statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

using ::testing::ElementsAre;
using Labels = std::vector<std::int32_t>;

class Statistics : public ::testing::Test {
 protected:
  RecordIndex index_of(const std::vector<Labels>& records) {
    RecordIndexBuilder builder;
    builder.begin_shard("a");
    for (const Labels& labels : records) builder.add(0, 100, labels, 64, 48, 0, 0);
    builder.end_shard(0);
    builder.write(posix_file_system(), path_);
    return RecordIndex::open(path_);
  }
  RecordIndex index_of(const Labels& labels) {
    std::vector<Labels> records;
    for (const std::int32_t label : labels) records.push_back({label});
    return index_of(records);
  }
  static Mixing mixing(const RecordIndex& index, std::uint64_t batch) {
    const auto statistics = collect_statistics(index, 0);
    return judge(statistics, shuffle_quality(index, statistics, batch));
  }

  test::TempDirectory directory_;
  std::string path_ = directory_ / "set-train.index";
};

// `each` records of every class from `first` to before `end`.
Labels blocks(std::int32_t first, std::int32_t end, std::size_t each) {
  Labels labels;
  for (std::int32_t label = first; label < end; ++label) labels.insert(labels.end(), each, label);
  return labels;
}

Labels shuffled(Labels labels) {
  std::ranges::shuffle(labels, std::mt19937(11));
  return labels;
}

TEST_F(Statistics, counts_classes_labels_bytes_and_sides) {
  RecordIndexBuilder builder;
  builder.begin_shard("a");
  builder.add(0, 116, Labels{1}, 500, 375, 0, 0);
  builder.add(116, 66, Labels{3, 1, 3}, 255, 400, 0, 0);
  builder.add(182, 70, Labels{}, 0, 0, 0, 0);
  builder.add(252, 90, Labels{3}, 300, 256, 0, 0);
  builder.end_shard(342);
  builder.write(posix_file_system(), path_);
  const auto found = collect_statistics(RecordIndex::open(path_), 6);
  EXPECT_EQ(found.records, 4u);
  EXPECT_EQ(found.bytes, 342u);
  EXPECT_EQ(found.least_bytes, 66u);
  EXPECT_EQ(found.most_bytes, 116u);
  EXPECT_THAT(found.class_records, ElementsAre(0, 2, 0, 2, 0, 0));
  EXPECT_EQ(found.empty_classes(), 4u);
  EXPECT_EQ(found.labels(), 4u);
  EXPECT_THAT(found.classes_by_size(), ElementsAre(1, 3));
  EXPECT_THAT(found.label_counts, ElementsAre(1, 2, 1));
  EXPECT_EQ(found.short_sides[0], 1u);  // unknown
  EXPECT_EQ(found.short_sides[8], 1u);  // 128-255
  EXPECT_EQ(found.short_sides[9], 2u);  // 256-511
  EXPECT_EQ(found.least_width, 255u);
  EXPECT_EQ(found.most_width, 500u);
  EXPECT_EQ(found.least_height, 256u);
  EXPECT_EQ(found.most_height, 400u);
}

TEST_F(Statistics, an_index_of_nothing_has_statistics_too) {
  const auto index = index_of(Labels{});
  const auto statistics = collect_statistics(index, 3);
  EXPECT_EQ(statistics.empty_classes(), 3u);
  const auto quality = shuffle_quality(index, statistics, 8);
  EXPECT_EQ(quality.batches, 0u);
  EXPECT_EQ(judge(statistics, quality), Mixing::kUnknown);
}

TEST_F(Statistics, labels_beyond_reason_are_refused_instead_of_counted) {
  EXPECT_THROW(collect_statistics(index_of(Labels{INT32_MAX}), 0), DataError);
}

// Two of four records: C(2,2) / C(4,2) = 1/6 of the draws lack a class, so 2 * 5/6 are expected.
TEST_F(Statistics, distinct_classes_expected_and_found_as_counted_by_hand) {
  const auto sorted = index_of(Labels{0, 0, 1, 1});
  auto quality = shuffle_quality(sorted, collect_statistics(sorted, 0), 2);
  EXPECT_NEAR(quality.expected, 10.0 / 6, 1e-12);
  EXPECT_EQ(quality.found, 1);
  EXPECT_EQ(quality.least, 1u);
  EXPECT_EQ(quality.batches, 2u);

  const auto in_turn = index_of(Labels{0, 1, 1, 0, 1});  // the fifth fills no batch
  quality = shuffle_quality(in_turn, collect_statistics(in_turn, 0), 2);
  // C(3,2) / C(5,2) = 3/10 lack class 0, C(2,2) / C(5,2) = 1/10 class 1.
  EXPECT_NEAR(quality.expected, 0.7 + 0.9, 1e-12);
  EXPECT_EQ(quality.found, 2);
  EXPECT_EQ(quality.batches, 2u);
}

TEST_F(Statistics, each_record_its_own_class_shows_as_many_classes_as_records) {
  const auto index = index_of(blocks(0, 50'000, 1));
  const auto quality = shuffle_quality(index, collect_statistics(index, 0), 256);
  EXPECT_NEAR(quality.expected, 256, 1e-8);
  EXPECT_EQ(quality.found, 256);
}

TEST_F(Statistics, a_batch_larger_than_the_split_is_the_split) {
  const auto index = index_of(blocks(0, 3, 2));
  const auto statistics = collect_statistics(index, 0);
  const auto quality = shuffle_quality(index, statistics, 4096);
  EXPECT_EQ(quality.batch, 6u);
  EXPECT_NEAR(quality.expected, 3, 1e-12);
  EXPECT_EQ(judge(statistics, quality), Mixing::kUnknown);
}

TEST_F(Statistics, sorted_partly_mixed_and_random_orders_are_told_apart) {
  EXPECT_EQ(mixing(index_of(blocks(0, 100, 200)), 256), Mixing::kSorted);
  EXPECT_EQ(mixing(index_of(shuffled(blocks(0, 100, 200))), 256), Mixing::kMixed);
  auto halves = shuffled(blocks(0, 50, 200));
  const auto second = shuffled(blocks(50, 100, 200));
  halves.insert(halves.end(), second.begin(), second.end());
  EXPECT_EQ(mixing(index_of(halves), 256), Mixing::kPartly);
  EXPECT_EQ(mixing(index_of(blocks(0, 1, 500)), 32), Mixing::kUnknown);
  EXPECT_EQ(mixing(index_of(blocks(0, 500, 1)), 32), Mixing::kUnknown);
}

TEST_F(Statistics, several_labels_of_a_record_count_each) {
  const auto index = index_of(std::vector<Labels>{{0, 1}, {2}, {0, 2}, {1}});
  const auto statistics = collect_statistics(index, 0);
  const auto quality = shuffle_quality(index, statistics, 2);
  EXPECT_EQ(quality.found, 3);
  EXPECT_NEAR(quality.expected, 3 * 5.0 / 6, 1e-12);  // each class in two of four records
  EXPECT_EQ(quality.least, 3u);
}

}  // namespace
}  // namespace bit::storage
