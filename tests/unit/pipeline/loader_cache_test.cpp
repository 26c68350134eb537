// What the cache changes: what is read and decoded, never a batch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/jpeg.h"
#include "pipeline/resize.h"
#include "tests/unit/pipeline/loader_fixture.h"

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kPlenty = std::uint64_t{64} << 20;

class LoaderCacheTest : public LoaderTest {
 protected:
  static LoaderOptions cached(CacheKind kind, std::uint64_t limit, std::uint64_t last) {
    LoaderOptions with_cache = options(0, last);
    with_cache.cache = kind;
    with_cache.cache_limit = limit;
    return with_cache;
  }
};

TEST_F(LoaderCacheTest, gives_the_same_bytes_with_each_cache_and_any_number_of_threads) {
  const storage::Dataset data = dataset();
  const auto expected = train(data, options(0, 60));
  for (const CacheKind kind : {CacheKind::kEncoded, CacheKind::kDecoded}) {
    for (const std::uint64_t limit : {std::uint64_t{0}, std::uint64_t{60'000}, kPlenty}) {
      for (const unsigned threads : {1U, 2U, 8U}) {
        LoaderOptions some = cached(kind, limit, 60);
        some.decoder_threads = threads;
        EXPECT_EQ(train(data, some), expected) << threads << " threads, " << limit << " bytes";
      }
    }
  }
}

// An epoch leaves out 11 of 203 records, so that the second may read those; the first epochs read
// ahead of the cache. From then on nothing is read.
TEST_F(LoaderCacheTest, reads_each_record_once) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  for (const CacheKind kind : {CacheKind::kEncoded, CacheKind::kDecoded}) {
    Loader loader(data, order, plan(), cached(kind, kPlenty, 20 * 12));
    std::uint64_t read_at_first = 0;
    while (const Batch* batch = loader.next()) {
      if (batch->number == 10 * 12) read_at_first = loader.counters().bytes_read;
    }
    const LoaderCounters counters = loader.counters();
    EXPECT_EQ(counters.bytes_read, read_at_first);
    EXPECT_LT(counters.bytes_read, 3 * data.bytes());
    EXPECT_EQ(counters.cached_images, kRecords);
    EXPECT_GT(counters.images_from_cache, counters.images * 8 / 10);
  }
}

TEST_F(LoaderCacheTest, keeps_to_its_limit) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  const std::uint64_t limit = 8 * kRecords + 60'000;
  for (const CacheKind kind : {CacheKind::kEncoded, CacheKind::kDecoded}) {
    Loader loader(data, order, plan(), cached(kind, limit, 40));
    while (loader.next() != nullptr) EXPECT_LE(loader.counters().cache_bytes, limit);
    EXPECT_GT(loader.counters().cache_bytes, limit * 3 / 4);
    EXPECT_GT(loader.counters().images_from_cache, 0U);
    EXPECT_GT(loader.counters().cached_images, 5U);
    EXPECT_LT(loader.counters().cached_images, kRecords);
  }
}

TEST_F(LoaderCacheTest, replaces_bad_records_as_without_a_cache) {
  const storage::Dataset data = dataset([](std::vector<test::TestRecord>& records) {
    records[planned(2)].image.assign(3000, std::byte{'x'});
    auto& cut_short = records[planned(5)].image;
    cut_short.resize(cut_short.size() * 3 / 4);  // some crops lie above the damage
    records[planned(9)].labels = {static_cast<std::int32_t>(kClasses)};
  });
  const auto expected = train(data, options(0, 60));
  for (const CacheKind kind : {CacheKind::kEncoded, CacheKind::kDecoded}) {
    const auto batches = train(data, cached(kind, kPlenty, 60));
    EXPECT_EQ(batches, expected);
    for (std::size_t n = 0; n < batches.size(); ++n) {
      const auto& bad = batches[n].bad_records;
      ASSERT_EQ(bad.size(), expected[n].bad_records.size()) << n;
      for (std::size_t i = 0; i < bad.size(); ++i) {
        EXPECT_EQ(bad[i].record, expected[n].bad_records[i].record);
        EXPECT_EQ(bad[i].key, expected[n].bad_records[i].key);
        EXPECT_EQ(bad[i].reason, expected[n].bad_records[i].reason);
      }
    }
  }
}

TEST_F(LoaderCacheTest, a_short_side_changes_all_images_alike_whether_kept_or_not) {
  const storage::Dataset data = dataset();
  LoaderOptions capped = cached(CacheKind::kDecoded, kPlenty, 60);
  capped.cache_short_side = 20;
  const auto expected = train(data, capped);
  EXPECT_NE(expected, train(data, options(0, 60)));
  capped.cache_limit = 8 * kRecords + 30'000;
  EXPECT_EQ(train(data, capped), expected);
  capped.cache_limit = 0;
  capped.decoder_threads = 1;
  EXPECT_EQ(train(data, capped), expected);
  capped.cache_short_side = 100;  // longer than any
  EXPECT_EQ(train(data, capped), train(data, options(0, 60)));
}

// Shrunk to a short side of 20 and then cut by a plan that takes all of it: the file's pixels,
// resized twice.
TEST_F(LoaderCacheTest, a_shrunk_image_is_the_antialiased_resize_of_the_whole) {
  const storage::Dataset data = dataset();
  const EvaluationOrder order(kRecords, 1);
  LoaderOptions capped = cached(CacheKind::kDecoded, kPlenty, 40);
  capped.cache_short_side = kSize;
  const PlanImage corner = [](std::uint32_t width, std::uint32_t height, auto, auto) {
    EXPECT_EQ(std::min(width, height), kSize);
    ImagePlan plan;
    plan.crop = {0, 0, kSize, kSize};
    plan.resized_width = plan.resized_height = kSize;
    return plan;
  };
  Loader loader(data, order, corner, capped);
  const auto batches = all_batches(loader);
  ASSERT_EQ(batches.size(), 40U);
  for (std::uint32_t i = 0; i < 40; ++i) {
    const auto record = test::test_records(i + 1, kClasses).back();
    JpegDecoder decoder;
    decoder.open(record.image);
    const RgbImage whole = decoder.decode_full();
    ImagePlan plan;
    plan.crop = {0, 0, whole.width, whole.height};
    const std::uint32_t side = std::min(whole.width, whole.height);
    plan.resized_width = (whole.width * kSize * 2 + side) / (2 * side);
    plan.resized_height = (whole.height * kSize * 2 + side) / (2 * side);
    std::vector<std::uint8_t> expected(std::size_t{kSize} * kSize * 3);
    resize_reference(whole.pixels.data(), whole.width, plan, kSize, expected);
    EXPECT_EQ(batches[i].images, expected) << i;
  }
}

}  // namespace
}  // namespace bit::pipeline
