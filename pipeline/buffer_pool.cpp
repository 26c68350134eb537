// The free buffers; see buffer_pool.h.
#include "pipeline/buffer_pool.h"

#include <bit>
#include <utility>

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kSmallest = std::uint64_t{4} << 10;

std::uint64_t capacity_for(std::uint64_t bytes) {
  if (bytes <= kSmallest) return kSmallest;
  const std::uint64_t step = std::bit_floor(bytes) / 4;
  return (bytes + step - 1) / step * step;
}

// Below 4 x 64; capacities are quarters of powers of two.
std::size_t class_of(std::uint64_t capacity) {
  const auto exponent = static_cast<std::size_t>(std::bit_width(capacity) - 1);
  return exponent * 4 + (capacity >> (exponent - 2) & 3);
}

}  // namespace

PooledBuffer BufferPool::take(std::uint64_t bytes) {
  const std::uint64_t capacity = capacity_for(bytes);
  std::vector<PooledBuffer> dropped;  // freed after the lock, before more is taken
  {
    const std::lock_guard lock(mutex_);
    std::vector<PooledBuffer>& fitting = free_[class_of(capacity)];
    if (!fitting.empty()) {
      PooledBuffer buffer = std::move(fitting.back());
      fitting.pop_back();
      return buffer;
    }
    held_bytes_ += capacity;
    for (auto other = free_.rbegin(); limit_ > 0 && other != free_.rend(); ++other) {
      while (held_bytes_ > limit_ && !other->empty()) {
        held_bytes_ -= other->back().capacity;
        dropped.push_back(std::move(other->back()));
        other->pop_back();
      }
    }
  }
  dropped.clear();
  return {std::make_unique_for_overwrite<std::byte[]>(capacity), capacity};
}

void BufferPool::give_back(PooledBuffer buffer) {
  const std::lock_guard lock(mutex_);
  free_[class_of(buffer.capacity)].push_back(std::move(buffer));
}

std::uint64_t BufferPool::held_bytes() const {
  const std::lock_guard lock(mutex_);
  return held_bytes_;
}

}  // namespace bit::pipeline
