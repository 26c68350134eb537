#include "pipeline/image_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <thread>
#include <vector>

namespace bit::pipeline {
namespace {

constexpr std::array<std::int32_t, 2> kLabels = {3, 7};

bool put(ImageCache& cache, std::uint64_t record, std::uint64_t bytes) {
  auto room = cache.reserve(record, 20, 10, kLabels, bytes);
  if (!room) return false;
  std::ranges::fill(room->bytes(), static_cast<std::byte>(record));
  cache.add(record, std::move(room));
  return true;
}

TEST(ImageCache, gives_back_what_was_added) {
  ImageCache cache(CacheKind::kDecoded, 5, 10'000);
  EXPECT_EQ(cache.find(3), nullptr);
  ASSERT_TRUE(put(cache, 3, 600));
  const CachedImage* image = cache.find(3);
  ASSERT_NE(image, nullptr);
  EXPECT_EQ(image->width(), 20U);
  EXPECT_EQ(image->height(), 10U);
  EXPECT_TRUE(std::ranges::equal(image->labels(), kLabels));
  ASSERT_EQ(image->bytes().size(), 600U);
  EXPECT_EQ(std::ranges::count(image->bytes(), std::byte{3}), 600);
  EXPECT_EQ(cache.find(2), nullptr);
  EXPECT_EQ(cache.find(5), nullptr);  // no such record
  EXPECT_EQ(cache.images(), 1U);
}

TEST(ImageCache, counts_every_byte_and_never_exceeds_its_limit) {
  ImageCache cache(CacheKind::kEncoded, 100, 10'000);
  EXPECT_EQ(cache.used_bytes(), 800U);  // the table
  ASSERT_TRUE(put(cache, 0, 1000));
  const std::uint64_t entry = cache.used_bytes() - 800;
  EXPECT_GE(entry, 1000 + 2 * sizeof(std::int32_t));
  EXPECT_LT(entry, 1100U);
  std::uint64_t images = 1;
  for (std::uint64_t record = 1; record < 100; ++record) images += put(cache, record, 1000);
  EXPECT_EQ(images, (10'000 - 800) / entry);
  EXPECT_EQ(cache.images(), images);
  EXPECT_EQ(cache.used_bytes(), 800 + images * entry);
}

TEST(ImageCache, one_large_image_does_not_end_it) {
  ImageCache cache(CacheKind::kDecoded, 10, 10'000);
  EXPECT_FALSE(put(cache, 0, 50'000));
  EXPECT_TRUE(put(cache, 1, 1000));
}

TEST(ImageCache, is_closed_when_little_is_left) {
  ImageCache cache(CacheKind::kDecoded, 10, 10'000);
  ASSERT_TRUE(put(cache, 0, 9'500));
  EXPECT_FALSE(put(cache, 1, 1000));
  EXPECT_FALSE(put(cache, 2, 1));
}

TEST(ImageCache, takes_room_back_that_is_not_used) {
  ImageCache cache(CacheKind::kDecoded, 10, 10'000);
  const std::uint64_t before = cache.used_bytes();
  cache.reserve(4, 1, 1, {}, 5000).reset();
  EXPECT_EQ(cache.used_bytes(), before);
  EXPECT_EQ(cache.find(4), nullptr);
}

TEST(ImageCache, has_no_room_for_a_refused_record) {
  ImageCache cache(CacheKind::kDecoded, 10, 10'000);
  cache.refuse(4);
  EXPECT_FALSE(put(cache, 4, 10));
  EXPECT_EQ(cache.find(4), nullptr);
}

TEST(ImageCache, without_a_kind_or_room_for_its_table_holds_nothing) {
  ImageCache none(CacheKind::kNone, 10, 10'000);
  EXPECT_FALSE(put(none, 0, 10));
  EXPECT_EQ(none.used_bytes(), 0U);
  ImageCache small(CacheKind::kEncoded, 1000, 7999);
  EXPECT_FALSE(put(small, 0, 10));
  EXPECT_EQ(small.used_bytes(), 0U);
}

TEST(ImageCache, keeps_one_of_what_several_threads_add) {
  constexpr std::uint64_t kImages = 500;
  ImageCache cache(CacheKind::kEncoded, kImages, 1 << 20);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (std::uint64_t record = 0; record < kImages; ++record) {
          put(cache, record, 100);
          const CachedImage* image = cache.find(record);
          ASSERT_NE(image, nullptr);
          EXPECT_EQ(image->bytes().back(), static_cast<std::byte>(record));
        }
      });
    }
  }
  ImageCache alone(CacheKind::kEncoded, kImages, 1 << 20);
  for (std::uint64_t record = 0; record < kImages; ++record) put(alone, record, 100);
  EXPECT_EQ(cache.images(), kImages);
  EXPECT_EQ(cache.used_bytes(), alone.used_bytes());
}

}  // namespace
}  // namespace bit::pipeline
