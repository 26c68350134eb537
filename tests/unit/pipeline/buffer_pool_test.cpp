#include "pipeline/buffer_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kMegabyte = 1 << 20;

TEST(BufferPool, buffers_are_at_most_a_quarter_larger_than_needed) {
  BufferPool pool(0);
  for (std::uint64_t bytes = 5000; bytes < 100 * kMegabyte; bytes = bytes * 9 / 8 + 1) {
    const PooledBuffer buffer = pool.take(bytes);
    EXPECT_GE(buffer.capacity, bytes);
    EXPECT_LE(buffer.capacity, bytes + bytes / 4 + 1) << bytes;
  }
  EXPECT_EQ(pool.take(1).capacity, 4096U);
}

TEST(BufferPool, gives_out_again_what_came_back) {
  BufferPool pool(0);
  PooledBuffer buffer = pool.take(kMegabyte);
  const std::byte* memory = buffer.data.get();
  pool.give_back(std::move(buffer));
  EXPECT_NE(pool.take(2 * kMegabyte).data.get(), memory);
  EXPECT_EQ(pool.take(kMegabyte - 1000).data.get(), memory);
  EXPECT_EQ(pool.held_bytes(), 3 * kMegabyte);
}

TEST(BufferPool, frees_what_nobody_uses_before_it_exceeds_its_limit) {
  BufferPool pool(10 * kMegabyte);
  for (int round = 0; round < 3; ++round) {
    for (const std::uint64_t size : {1U, 2U, 4U}) {
      std::vector<PooledBuffer> buffers;
      for (std::uint64_t held = 0; held < 8; held += size) {
        buffers.push_back(pool.take(size * kMegabyte));
        EXPECT_LE(pool.held_bytes(), 10 * kMegabyte);
      }
      for (PooledBuffer& buffer : buffers) pool.give_back(std::move(buffer));
    }
  }
}

}  // namespace
}  // namespace bit::pipeline
