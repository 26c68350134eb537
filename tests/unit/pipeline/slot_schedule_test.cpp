#include "pipeline/slot_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace bit::pipeline {
namespace {

constexpr std::uint32_t kSlots = 16;

bool always(const Sample&) { return true; }

SlotScheduleOptions schedule_options(std::uint64_t batches, unsigned threads) {
  return {.first_batch = 0,
          .last_batch = batches,
          .first_slot = 0,
          .slots = kSlots,
          .batches = 4,
          .threads = threads};
}

// The time at which the last of `batches` is complete, when `threads` take as long for a record as
// its cost says and batches are given back when all before them are complete. Record r is slot
// r % kSlots of batch r / kSlots.
std::uint64_t simulate(const SlotSchedule::Cost& cost, SlotScheduleOptions options) {
  const EvaluationOrder order(options.last_batch * kSlots, kSlots);
  SlotSchedule schedule(order, options, cost, always);
  using Event = std::pair<std::uint64_t, std::uint64_t>;  // time, batch of the slot that is done
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events;
  std::map<std::uint64_t, std::uint32_t> missing;
  for (std::uint64_t n = 0; n < options.last_batch; ++n) missing[n] = kSlots;
  std::uint64_t now = 0, oldest = 0;
  std::uint64_t claimable = std::min<std::uint64_t>(options.batches, options.last_batch) * kSlots;
  unsigned idle = options.threads;
  while (oldest < options.last_batch) {
    for (; idle > 0 && claimable > 0; --idle, --claimable) {
      const auto claim = schedule.claim({});
      events.push({now + cost(claim->sample.record), claim->batch});
    }
    now = events.top().first;
    --missing[events.top().second];
    events.pop();
    ++idle;
    for (; oldest < options.last_batch && missing[oldest] == 0; ++oldest) {
      if (oldest + options.batches < options.last_batch) claimable += kSlots;
      schedule.advance();
    }
  }
  return now;
}

TEST(SlotSchedule, hands_out_each_slot_once) {
  const EvaluationOrder order(3 * kSlots, kSlots);
  auto options = schedule_options(3, 2);
  SlotSchedule schedule(
      order, options, [](std::uint64_t record) { return record * 7 % 5; }, always);
  std::set<std::pair<std::uint64_t, std::uint32_t>> seen;
  while (const auto claim = schedule.claim({})) {
    EXPECT_EQ(claim->sample.record, claim->batch * kSlots + claim->slot);
    EXPECT_TRUE(seen.insert({claim->batch, claim->slot}).second);
  }
  EXPECT_EQ(seen.size(), 3U * kSlots);
}

TEST(SlotSchedule, takes_the_longest_of_the_oldest_batch_first) {
  const EvaluationOrder order(2 * kSlots, kSlots);
  SlotSchedule schedule(
      order, schedule_options(2, 1), [](std::uint64_t record) { return record % kSlots * 10; },
      always);
  for (std::uint32_t i = 0; i < kSlots; ++i) {
    const auto claim = schedule.claim({});
    EXPECT_EQ(claim->batch, 0U);
    EXPECT_EQ(claim->slot, kSlots - 1 - i);
  }
}

TEST(SlotSchedule, keeps_to_the_order_when_told) {
  const EvaluationOrder order(2 * kSlots, kSlots);
  auto options = schedule_options(2, 3);
  options.in_order = true;
  SlotSchedule schedule(
      order, options, [](std::uint64_t record) { return record == 30 ? 1000 : record; }, always);
  for (std::uint64_t record = 0; record < 2 * kSlots; ++record) {
    EXPECT_EQ(schedule.claim({})->sample.record, record);
  }
}

TEST(SlotSchedule, passes_over_a_record_that_has_not_arrived) {
  const EvaluationOrder order(2 * kSlots, kSlots);
  std::set<std::uint64_t> missing = {15, 14, 3};
  SlotSchedule schedule(
      order, schedule_options(2, 1), [](std::uint64_t record) { return record; },
      [&](const Sample& sample) { return !missing.contains(sample.record); });
  for (int i = 0; i < 13; ++i) EXPECT_EQ(schedule.claim({})->batch, 0U);
  EXPECT_EQ(schedule.claim({})->sample.record, 31U);  // of the next batch
  missing.clear();
  EXPECT_EQ(schedule.claim({})->sample.record, 15U);
}

TEST(SlotSchedule, wakes_who_waits_for_records_and_for_room) {
  const EvaluationOrder order(2 * kSlots, kSlots);
  auto options = schedule_options(2, 1);
  options.batches = 1;
  std::atomic<bool> arrived = false;
  SlotSchedule schedule(
      order, options, [](std::uint64_t) { return 1; },
      [&](const Sample&) { return arrived.load(); });
  std::atomic<int> claimed = 0;
  std::jthread thread([&] {
    while (schedule.claim({})) ++claimed;
  });
  arrived = true;
  schedule.records_arrived();
  while (claimed < static_cast<int>(kSlots)) std::this_thread::yield();
  schedule.advance();
  thread.join();
  EXPECT_EQ(claimed, 2 * static_cast<int>(kSlots));
}

TEST(SlotSchedule, ends_when_stopped) {
  const EvaluationOrder order(kSlots, kSlots);
  SlotSchedule schedule(
      order, schedule_options(1, 1), [](std::uint64_t) { return 1; },
      [](const Sample&) { return false; });
  std::stop_source stop;
  std::optional<SlotClaim> claim = SlotClaim{};
  std::jthread thread([&] { claim = schedule.claim(stop.get_token()); });
  stop.request_stop();
  thread.join();
  EXPECT_FALSE(claim);
}

// One slot of batch 5 of 8 takes 40, all others 1. It has a place once batch 1 is complete, after
// 2 * 16 / 4 = 8; that is when it has to start.
TEST(SlotSchedule, starts_a_slow_image_as_soon_as_it_has_a_place) {
  const auto cost = [](std::uint64_t record) -> std::uint64_t {
    return record == 5 * kSlots + 9 ? 40 : 1;
  };
  auto options = schedule_options(8, 4);
  EXPECT_EQ(simulate(cost, options), 8U + 40);
  options.in_order = true;
  EXPECT_GE(simulate(cost, options), 5 * kSlots / 4 + 40U);
}

// One in a thousand takes 40 times as long, as 40 megapixels do beside one: two threads need half
// of the work's time, as if it were any other image.
TEST(SlotSchedule, hides_outliers_from_the_other_thread) {
  const auto cost = [](std::uint64_t record) -> std::uint64_t {
    return record % 1000 == 700 ? 40 : 1;
  };
  constexpr std::uint64_t kBatches = 500;
  std::uint64_t work = 0;
  for (std::uint64_t record = 0; record < kBatches * kSlots; ++record) work += cost(record);
  auto options = schedule_options(kBatches, 2);
  EXPECT_LE(simulate(cost, options), work / 2 + 2);
}

}  // namespace
}  // namespace bit::pipeline
