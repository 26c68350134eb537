// What a loader takes from the heap while it runs, libjpeg included: nothing.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>

#include "tests/unit/pipeline/heap_watch.h"
#include "tests/unit/pipeline/loader_fixture.h"

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kEpochBatches = 12;
constexpr int kMostEpochs = 300;
constexpr int kQuietEpochs = 10;

class LoaderAllocationsTest : public LoaderTest {
 protected:
  // Runs epochs until kQuietEpochs follow one another without an allocation. What threads hold at
  // the same time, and so when the last buffer is taken, depends on their timing; an allocation
  // for each image or chunk would never end.
  void expect_quiet(LoaderOptions some, const TrainOrder& order = train_order()) {
    const storage::Dataset data = dataset();
    some.last_batch = kMostEpochs * kEpochBatches;
    Loader loader(data, order, plan(), some);
    int quiet = 0, epochs = 0;
    for (; epochs < kMostEpochs && quiet < kQuietEpochs; ++epochs) {
      const std::size_t before = test::heap_allocations();
      for (std::uint64_t batch = 0; batch < kEpochBatches; ++batch) {
        ASSERT_NE(loader.next(), nullptr);
      }
      quiet = test::heap_allocations() == before ? quiet + 1 : 0;
    }
    EXPECT_EQ(quiet, kQuietEpochs) << "of " << epochs << " epochs";
  }
};

TEST_F(LoaderAllocationsTest, there_are_none_after_the_warm_up) { expect_quiet(options(0, 0)); }

TEST_F(LoaderAllocationsTest, there_are_none_with_a_memory_limit) {
  LoaderOptions limited = options(0, 0);
  limited.memory_limit = 4 << 20;  // of which the order needs a part
  expect_quiet(limited);
}

TEST_F(LoaderAllocationsTest, there_are_none_with_a_full_permutation) {
  TrainOrderOptions permuted = train_order().options();
  permuted.block = 1;
  expect_quiet(options(0, 0), TrainOrder(permuted));
}

TEST_F(LoaderAllocationsTest, there_are_none_in_order) {
  LoaderOptions plain = options(0, 0);
  plain.in_order = true;
  expect_quiet(plain);
}

TEST_F(LoaderAllocationsTest, there_are_none_with_a_cache) {
  for (const CacheKind kind : {CacheKind::kEncoded, CacheKind::kDecoded}) {
    LoaderOptions cached = options(0, 0);
    cached.cache = kind;
    cached.cache_limit = 64 << 20;
    expect_quiet(cached);
  }
}

}  // namespace
}  // namespace bit::pipeline
