#include "pipeline/order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <stdexcept>
#include <vector>

namespace bit::pipeline {
namespace {

TrainOrderOptions small_options() {
  TrainOrderOptions options;
  options.records = 1003;
  options.batch = 24;
  options.block = 16;
  options.lanes = 4;
  options.window = 160;
  options.seed = 5;
  return options;
}

std::vector<std::uint64_t> epoch_records(const Order& order, std::uint64_t epoch) {
  std::vector<std::uint64_t> records;
  const std::uint64_t first = epoch * order.batches_per_epoch();
  for (std::uint64_t n = first; n < first + order.batches_per_epoch(); ++n) {
    for (std::uint64_t slot = 0; slot < order.batch(); ++slot) {
      records.push_back(order.sample(n, slot).record);
    }
  }
  return records;
}

TEST(TrainOrder, shows_each_record_at_most_once_and_leaves_out_the_tail) {
  const TrainOrder order(small_options());
  EXPECT_EQ(order.batches_per_epoch(), 41U);
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    const auto records = epoch_records(order, epoch);
    const std::set<std::uint64_t> distinct(records.begin(), records.end());
    EXPECT_EQ(records.size(), 1003U - 1003 % 24);
    EXPECT_EQ(distinct.size(), records.size());
    EXPECT_LT(*distinct.rbegin(), 1003U);
  }
}

TEST(TrainOrder, leaves_out_another_tail_in_each_epoch) {
  const TrainOrder order(small_options());
  std::set<std::vector<std::uint64_t>> tails;
  for (std::uint64_t epoch = 0; epoch < 5; ++epoch) {
    auto records = epoch_records(order, epoch);
    std::ranges::sort(records);
    std::vector<std::uint64_t> tail;
    for (std::uint64_t record = 0; record < 1003; ++record) {
      if (!std::ranges::binary_search(records, record)) tail.push_back(record);
    }
    EXPECT_EQ(tail.size(), 1003U % 24);
    tails.insert(tail);
  }
  EXPECT_EQ(tails.size(), 5U);
}

TEST(TrainOrder, says_the_epoch_of_each_batch) {
  const TrainOrder order(small_options());
  EXPECT_EQ(order.sample(0, 0).epoch, 0U);
  EXPECT_EQ(order.sample(40, 23).epoch, 0U);
  EXPECT_EQ(order.sample(41, 0).epoch, 1U);
}

TEST(TrainOrder, changes_with_epoch_and_seed_only) {
  const TrainOrder order(small_options());
  TrainOrderOptions other = small_options();
  other.seed = 6;
  EXPECT_EQ(epoch_records(order, 0), epoch_records(TrainOrder(small_options()), 0));
  EXPECT_NE(epoch_records(order, 0), epoch_records(order, 1));
  EXPECT_NE(epoch_records(order, 0), epoch_records(TrainOrder(other), 0));
}

TEST(TrainOrder, fills_the_slots_of_a_lane_from_the_chunks_of_that_lane) {
  const TrainOrder order(small_options());
  std::map<std::uint64_t, std::uint64_t> lane_of, last_of_lane;
  for (std::uint64_t n = 0; n < 2 * order.batches_per_epoch(); ++n) {
    for (std::uint64_t slot = 0; slot < order.batch(); ++slot) {
      const std::uint64_t chunk = order.sample(n, slot).chunk, lane = slot / 6;
      EXPECT_EQ(lane_of.emplace(chunk, lane).first->second, lane);
      EXPECT_GE(chunk, last_of_lane[lane]);
      last_of_lane[lane] = chunk;
      const ChunkUse use = order.chunk_use(chunk);
      EXPECT_TRUE(use.first_batch <= n && n < use.end_batch);
      EXPECT_TRUE(use.first_slot <= slot && slot < use.end_slot);
      EXPECT_EQ(use.first_slot, lane * 6);
    }
  }
}

TEST(TrainOrder, reads_a_chunk_in_runs_of_blocks_and_mixes_it_in_the_batches) {
  const TrainOrder order(small_options());
  const auto chunk = order.chunk_records(order.sample(0, 0).chunk);
  ASSERT_EQ(chunk.size(), 40U);
  int breaks = 0;
  for (std::size_t i = 1; i < chunk.size(); ++i) breaks += chunk[i] != chunk[i - 1] + 1 ? 1 : 0;
  EXPECT_LE(breaks,
            4);  // 40 records touch at most 4 blocks of 16, one of which may be the short one

  std::vector<std::uint64_t> used;
  for (std::uint64_t n = 0; n < 7; ++n) {
    for (std::uint64_t slot = 0; slot < 6; ++slot) {
      if (used.size() < 40) used.push_back(order.sample(n, slot).record);
    }
  }
  EXPECT_NE(used, chunk);
  EXPECT_TRUE(std::ranges::is_permutation(used, chunk));
}

TEST(TrainOrder, with_blocks_of_one_permutes_all_records_and_reads_batch_by_batch) {
  TrainOrderOptions options = small_options();
  options.block = 1;
  options.window = 0;
  const TrainOrder order(options);
  const auto records = epoch_records(order, 0);
  EXPECT_EQ(std::set<std::uint64_t>(records.begin(), records.end()).size(), 984U);
  const auto chunk = order.chunk_records(order.sample(3, 7).chunk);
  std::vector<std::uint64_t> lane;
  for (std::uint64_t slot = 6; slot < 12; ++slot) lane.push_back(order.sample(3, slot).record);
  EXPECT_EQ(chunk, lane);
  // A full permutation has about one pair of neighbours among 984.
  int neighbours = 0;
  for (std::size_t i = 1; i < records.size(); ++i) {
    neighbours += records[i] == records[i - 1] + 1 ? 1 : 0;
  }
  EXPECT_LT(neighbours, 8);
}

TEST(TrainOrder, replaces_a_record_by_the_rest_of_its_block_and_then_by_what_follows) {
  const TrainOrder order(small_options());
  std::vector<std::uint64_t> chain;
  for (std::uint64_t attempt = 0; attempt < 1002; ++attempt) {
    chain.push_back(order.substitute(20, attempt));
  }
  for (std::uint64_t i = 0; i < 11; ++i) EXPECT_EQ(chain[i], 21 + i);
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(chain[11 + i], 16 + i);
  EXPECT_EQ(chain[15], 32U);
  EXPECT_EQ(chain[16], 33U);
  EXPECT_EQ(chain.back(), 15U);
  EXPECT_EQ(std::set<std::uint64_t>(chain.begin(), chain.end()).size(), 1002U);
  EXPECT_EQ(std::ranges::count(chain, 20U), 0);
  EXPECT_EQ(order.substitute(20, 1002), chain[0]);
}

TEST(TrainOrder, replaces_within_the_short_last_block_and_wraps_around) {
  const TrainOrder order(small_options());  // the last block is 992 ... 1002
  EXPECT_EQ(order.substitute(1002, 0), 992U);
  EXPECT_EQ(order.substitute(1002, 9), 1001U);
  EXPECT_EQ(order.substitute(1002, 10), 0U);
}

TEST(TrainOrder, refuses_options_that_do_not_fit) {
  const auto refuses = [](auto change) {
    TrainOrderOptions options = small_options();
    change(options);
    EXPECT_THROW(TrainOrder{options}, std::invalid_argument);
  };
  refuses([](auto& options) { options.records = 23; });
  refuses([](auto& options) { options.batch = 0; });
  refuses([](auto& options) { options.block = 0; });
  refuses([](auto& options) { options.lanes = 5; });
  refuses([](auto& options) { options.lanes = 0; });
  refuses([](auto& options) { options.window = 0; });
  refuses([](auto& options) { options.window = 162; });
}

TEST(EvaluationOrder, counts_each_record_once_and_pads_the_last_batch) {
  const EvaluationOrder order(10, 4);
  ASSERT_EQ(order.batches_per_epoch(), 3U);
  const std::uint64_t p = kPadding;
  EXPECT_EQ(epoch_records(order, 0),
            (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, p, p}));
  EXPECT_EQ(order.chunk_records(order.sample(2, 1).chunk), (std::vector<std::uint64_t>{8, 9}));
  EXPECT_EQ(order.substitute(3, 0), kPadding);
}

}  // namespace
}  // namespace bit::pipeline
