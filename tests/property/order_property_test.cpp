// What holds for every order, whatever the sizes: each record once, lanes and chunks that fit
// together, rank slices that add up.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <set>
#include <vector>

#include "pipeline/order.h"
#include "pipeline/random.h"

namespace bit::pipeline {
namespace {

TrainOrderOptions any_options() {
  TrainOrderOptions options;
  options.lanes = *rc::gen::inRange<std::uint64_t>(1, 9);
  options.batch = options.lanes * *rc::gen::inRange<std::uint64_t>(1, 9);
  options.records = options.batch + *rc::gen::inRange<std::uint64_t>(0, 3000);
  options.block = *rc::gen::element<std::uint64_t>(1, 2, 3, 7, 16, 64, 1000, 5000);
  options.window = options.lanes * *rc::gen::inRange<std::uint64_t>(1, 400);
  options.seed = *rc::gen::arbitrary<std::uint64_t>();
  return options;
}

std::vector<std::uint64_t> batch_records(const Order& order, std::uint64_t n, std::uint64_t first,
                                         std::uint64_t last) {
  std::vector<std::uint64_t> records;
  for (std::uint64_t slot = first; slot < last; ++slot) {
    records.push_back(order.sample(n, slot).record);
  }
  return records;
}

RC_GTEST_PROP(TrainOrder, shows_all_records_but_the_tail_exactly_once_per_epoch, ()) {
  const TrainOrder order(any_options());
  const std::uint64_t records = order.options().records, batch = order.batch();
  const std::uint64_t epoch = *rc::gen::inRange<std::uint64_t>(0, 1000);
  std::vector<bool> seen(records);
  std::uint64_t count = 0;
  for (std::uint64_t step = 0; step < order.batches_per_epoch(); ++step) {
    for (std::uint64_t slot = 0; slot < batch; ++slot, ++count) {
      const Sample sample = order.sample(epoch * order.batches_per_epoch() + step, slot);
      RC_ASSERT(sample.epoch == epoch);
      RC_ASSERT(sample.record < records);
      RC_ASSERT(!seen[sample.record]);
      seen[sample.record] = true;
    }
  }
  RC_ASSERT(count == records - records % batch);
}

RC_GTEST_PROP(TrainOrder, gives_a_chunk_to_one_lane_and_reads_each_record_once, ()) {
  const TrainOrder order(any_options());
  const std::uint64_t lane_slots = order.batch() / order.options().lanes;
  const std::uint64_t first = *rc::gen::inRange<std::uint64_t>(0, 5) * order.batches_per_epoch();
  std::map<std::uint64_t, std::vector<std::uint64_t>> chunks;
  for (std::uint64_t n = first; n < first + order.batches_per_epoch(); ++n) {
    for (std::uint64_t slot = 0; slot < order.batch(); ++slot) {
      const Sample sample = order.sample(n, slot);
      const ChunkUse use = order.chunk_use(sample.chunk);
      RC_ASSERT(use.first_batch <= n && n < use.end_batch);
      RC_ASSERT(use.first_slot == slot / lane_slots * lane_slots);
      RC_ASSERT(use.end_slot == use.first_slot + lane_slots);
      chunks[sample.chunk].push_back(sample.record);
    }
  }
  for (auto& [chunk, used] : chunks) {
    auto read = order.chunk_records(chunk);
    std::ranges::sort(read);
    std::ranges::sort(used);
    RC_ASSERT(read == used);
  }
}

RC_GTEST_PROP(TrainOrder, gives_the_same_global_batch_to_any_number_of_ranks, ()) {
  const TrainOrder order(any_options());
  const std::uint64_t n = *rc::gen::inRange<std::uint64_t>(0, 10'000);
  const auto whole = batch_records(order, n, 0, order.batch());
  for (std::uint64_t ranks = 1; ranks <= order.options().lanes; ++ranks) {
    if (order.options().lanes % ranks != 0) continue;
    std::vector<std::uint64_t> joined;
    std::set<std::uint64_t> chunks;
    for (std::uint64_t rank = 0; rank < ranks; ++rank) {
      const std::uint64_t share = order.batch() / ranks;
      const auto slice = batch_records(order, n, rank * share, (rank + 1) * share);
      joined.insert(joined.end(), slice.begin(), slice.end());
      std::set<std::uint64_t> of_rank;
      for (std::uint64_t slot = rank * share; slot < (rank + 1) * share; ++slot) {
        of_rank.insert(order.sample(n, slot).chunk);
      }
      for (const std::uint64_t chunk : of_rank) RC_ASSERT(chunks.insert(chunk).second);
    }
    RC_ASSERT(joined == whole);
  }
}

RC_GTEST_PROP(TrainOrder, replaces_a_record_by_every_other_one_in_turn, ()) {
  const TrainOrder order(any_options());
  const std::uint64_t records = order.options().records;
  RC_PRE(records > 1);
  const std::uint64_t record = *rc::gen::inRange<std::uint64_t>(0, records);
  std::vector<bool> seen(records);
  for (std::uint64_t attempt = 0; attempt + 1 < records; ++attempt) {
    const std::uint64_t other = order.substitute(record, attempt);
    RC_ASSERT(other < records);
    RC_ASSERT(other != record);
    RC_ASSERT(!seen[other]);
    seen[other] = true;
  }
}

RC_GTEST_PROP(EvaluationOrder, counts_each_record_once, ()) {
  const std::uint64_t records = *rc::gen::inRange<std::uint64_t>(1, 2000);
  const EvaluationOrder order(records, *rc::gen::inRange<std::uint64_t>(1, 300));
  std::uint64_t next = 0, padding = 0;
  for (std::uint64_t n = 0; n < order.batches_per_epoch(); ++n) {
    for (const std::uint64_t record : batch_records(order, n, 0, order.batch())) {
      if (record == kPadding) {
        ++padding;
      } else {
        RC_ASSERT(padding == 0U);
        RC_ASSERT(record == next++);
      }
    }
  }
  RC_ASSERT(next == records);
  RC_ASSERT(padding < order.batch());
}

RC_GTEST_PROP(KeyedPermutation, is_a_bijection_with_its_inverse, ()) {
  const std::uint64_t size = *rc::gen::inRange<std::uint64_t>(1, 20'000);
  const KeyedPermutation permutation(size, *rc::gen::arbitrary<std::uint64_t>());
  std::vector<bool> seen(size);
  for (std::uint64_t position = 0; position < size; ++position) {
    const std::uint64_t value = permutation(position);
    RC_ASSERT(value < size);
    RC_ASSERT(!seen[value]);
    RC_ASSERT(permutation.inverse(value) == position);
    seen[value] = true;
  }
}

// The size of JFT-300M. block 64 does not divide the records, the window does not divide a lane.
TrainOrderOptions jft_options() {
  TrainOrderOptions options;
  options.records = 300'000'011;
  options.batch = 4096;
  options.block = 64;
  options.lanes = 256;
  options.window = std::uint64_t{1} << 18;
  options.seed = 2019;
  return options;
}

TEST(TrainOrder, plans_any_position_among_300_million_records_without_memory_of_its_own) {
  static_assert(sizeof(TrainOrder) < 256);  // nothing of it grows with the records
  const auto start = std::chrono::steady_clock::now();
  const TrainOrder order(jft_options());
  RandomStream random(1, 0, 0);
  std::uint64_t below = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint64_t n = random.next_u32();
    const std::uint64_t slot = random.below(4096);
    below += order.sample(n, slot).record < order.options().records ? 1 : 0;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(below, 1'000'000U);
  std::cout << "construction and 1000000 positions of 300000011 records: " << seconds.count()
            << " s\n";
}

TEST(TrainOrder, reads_each_of_300_million_records_at_most_once_in_an_epoch) {
  const TrainOrder order(jft_options());
  const std::uint64_t records = order.options().records;
  const std::uint64_t epoch = 3, first = epoch * order.batches_per_epoch();
  // Every chunk of the epoch, found from lane to lane: their records are distinct and all but the
  // tail.
  std::vector<bool> seen(records);
  std::uint64_t count = 0;
  for (std::uint64_t slot = 0; slot < order.batch(); slot += 16) {
    for (std::uint64_t n = first; n < first + order.batches_per_epoch();) {
      const std::uint64_t chunk = order.sample(n, slot).chunk;
      for (const std::uint64_t record : order.chunk_records(chunk)) {
        ASSERT_FALSE(seen[record]) << record;
        seen[record] = true;
        ++count;
      }
      const ChunkUse use = order.chunk_use(chunk);
      ASSERT_EQ((use.end_batch - use.first_batch) * 16, order.chunk_records(chunk).size());
      n = use.end_batch;
    }
  }
  EXPECT_EQ(count, records - records % order.batch());

  // The slots of a chunk show its records and no others: with the above, no record is shown twice.
  RandomStream random(2, 0, 0);
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t n =
        first + random.below(static_cast<std::uint32_t>(order.batches_per_epoch()));
    const std::uint64_t chunk = order.sample(n, random.below(4096)).chunk;
    const ChunkUse use = order.chunk_use(chunk);
    std::vector<std::uint64_t> shown;
    for (std::uint64_t batch = use.first_batch; batch < use.end_batch; ++batch) {
      const auto part = batch_records(order, batch, use.first_slot, use.end_slot);
      shown.insert(shown.end(), part.begin(), part.end());
    }
    auto read = order.chunk_records(chunk);
    std::ranges::sort(read);
    std::ranges::sort(shown);
    ASSERT_EQ(read, shown);
  }
}

}  // namespace
}  // namespace bit::pipeline
