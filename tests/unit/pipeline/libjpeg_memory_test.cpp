// The memory that libjpeg decodes in: aligned, apart, kept, and not kept for ever.
#include "pipeline/jpeg/libjpeg_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace bit::pipeline {
namespace {

constexpr std::size_t kSizes[] = {1, 64, 65, 3, 700'000, 0, 4096, 300'000, 31};

// Fills what it takes, so that overlaps show.
std::vector<unsigned char*> take_all(ImageArena& arena) {
  std::vector<unsigned char*> taken;
  for (const std::size_t size : kSizes) {
    taken.push_back(static_cast<unsigned char*>(arena.allocate(size)));
    std::memset(taken.back(), static_cast<int>(taken.size()), size);
  }
  return taken;
}

TEST(ImageArena, gives_aligned_memory_that_does_not_overlap) {
  ImageArena arena;
  for (int round = 0; round < 3; ++round) {
    const auto taken = take_all(arena);
    for (std::size_t i = 0; i < taken.size(); ++i) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(taken[i]) % 64, 0U);
      for (std::size_t k = 0; k < kSizes[i]; ++k) ASSERT_EQ(taken[i][k], i + 1);
    }
    arena.release();
  }
}

TEST(ImageArena, takes_no_more_from_the_heap_for_an_image_like_the_last) {
  ImageArena arena;
  take_all(arena);
  arena.release();
  const auto first = take_all(arena);
  const std::size_t reserved = arena.reserved();
  EXPECT_LT(reserved, 1'100'000U);  // 1,004,259 bytes are asked for
  arena.release();
  EXPECT_EQ(arena.reserved(), reserved);
  EXPECT_EQ(take_all(arena), first);
  EXPECT_EQ(arena.reserved(), reserved);
}

TEST(ImageArena, gives_back_what_a_huge_image_needed) {
  ImageArena arena;
  take_all(arena);
  arena.release();
  take_all(arena);
  const std::size_t usual = arena.reserved();
  ASSERT_NE(arena.allocate(100'000'000), nullptr);
  EXPECT_GT(arena.reserved(), 100'000'000U);
  arena.release();
  EXPECT_EQ(arena.reserved(), usual);
  ImageArena fresh;
  ASSERT_NE(fresh.allocate(100'000'000), nullptr);
  fresh.release();
  EXPECT_EQ(fresh.reserved(), 0U);
}

TEST(ImageArena, says_when_there_is_no_memory) {
  ImageArena arena;
  EXPECT_EQ(arena.allocate(std::numeric_limits<std::size_t>::max()), nullptr);
  EXPECT_NE(arena.allocate(10), nullptr);
}

}  // namespace
}  // namespace bit::pipeline
