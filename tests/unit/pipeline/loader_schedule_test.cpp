// That neither a slow image nor the order in which slots are filled shows in the batches, and that
// what is held stays bounded.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/unit/pipeline/loader_fixture.h"

namespace bit::pipeline {
namespace {

using LoaderScheduleTest = LoaderTest;

TEST_F(LoaderScheduleTest, gives_the_same_bytes_in_any_order_of_work) {
  const storage::Dataset data = dataset([](std::vector<test::TestRecord>& records) {
    records[planned(7)].image.resize(200'000);  // costs more, by what is known of it
  });
  LoaderOptions plain = options(0, 26);
  plain.decoder_threads = 1;
  plain.in_order = true;
  const auto expected = train(data, plain);
  for (const unsigned threads : {1U, 2U, 8U}) {
    for (const unsigned prefetch : {1U, 4U}) {
      LoaderOptions some = options(0, 26);
      some.decoder_threads = threads;
      some.prefetch = prefetch;
      EXPECT_EQ(train(data, some), expected) << threads << " threads, ring of " << prefetch;
      some.in_order = true;
      EXPECT_EQ(train(data, some), expected) << threads << " threads in order";
    }
  }
}

// The image of one record takes until all others that have a place are done: with two threads that
// ends only if the other thread is never held up.
TEST_F(LoaderScheduleTest, a_slow_image_stops_no_other_thread) {
  const storage::Dataset data = dataset();
  const EvaluationOrder order(kRecords, 24);
  for (const bool in_order : {false, true}) {
    std::mutex mutex;
    std::condition_variable changed;
    std::uint64_t done = 0;
    const PlanImage evaluation = evaluation_plan(20, kSize);
    const PlanImage slow = [&](std::uint32_t width, std::uint32_t height, std::uint64_t epoch,
                               std::uint64_t record) {
      std::unique_lock lock(mutex);
      if (record == 5) {
        const bool freed =
            changed.wait_for(lock, std::chrono::seconds(60), [&] { return done >= 4 * 24 - 1; });
        if (!freed) throw std::runtime_error("the other images wait for the slow one");
      } else {
        ++done;
        changed.notify_all();
      }
      return evaluation(width, height, epoch, record);
    };
    LoaderOptions two = options(0, order.batches_per_epoch());
    two.decoder_threads = 2;
    two.prefetch = 4;
    two.in_order = in_order;
    Loader loader(data, order, slow, two);
    EXPECT_EQ(all_batches(loader).size(), 9U);
  }
}

TEST_F(LoaderScheduleTest, a_consumer_that_does_not_come_stops_the_loader_at_its_bounds) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  LoaderOptions bounded = options(0, 1000);
  bounded.prefetch = 3;
  bounded.memory_limit = 100 * data.bytes() / kRecords;
  Loader loader(data, order, plan(), bounded);
  ASSERT_NE(loader.next(), nullptr);
  while (loader.counters().ready_batches < 3) std::this_thread::yield();
  const LoaderCounters full = loader.counters();
  EXPECT_EQ(full.images, 3U * 16);
  EXPECT_EQ(full.ring_batches, 3U);
  EXPECT_EQ(full.ring_bytes, 3U * 4096 * 3);  // 16 images of 768 bytes in whole pages
  for (int batch = 0; batch < 60; ++batch) {
    ASSERT_NE(loader.next(), nullptr);
    const LoaderCounters counters = loader.counters();
    EXPECT_LE(counters.images, (static_cast<std::uint64_t>(batch) + 2 + 3) * 16);
    EXPECT_LE(counters.peak_buffered_bytes, 2 * 96 * data.bytes() / kRecords);
  }
}

TEST_F(LoaderScheduleTest, counts_what_each_stage_does) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  Loader loader(data, order, plan(), options(0, 24));
  all_batches(loader);
  const LoaderCounters counters = loader.counters();
  EXPECT_EQ(counters.images, 24U * 16);
  EXPECT_EQ(counters.images_from_cache, 0U);
  EXPECT_GE(counters.pixels, 24U * 16 * 32 * 30);  // the smallest of the test's images
  EXPECT_LE(counters.pixels, 24U * 16 * 48 * 42);
  EXPECT_GT(counters.parse_seconds, 0);
  EXPECT_GT(counters.decode_busy_seconds, counters.parse_seconds);
  EXPECT_GT(counters.read_busy_seconds, 0);
  EXPECT_GT(counters.consumer_wait_seconds, 0);
  EXPECT_GT(counters.seconds, 0);
  EXPECT_LE(counters.decode_busy_seconds, 3 * counters.seconds);
  EXPECT_EQ(counters.decoder_threads, 3U);
}

}  // namespace
}  // namespace bit::pipeline
