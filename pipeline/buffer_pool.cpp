// The free buffers; see buffer_pool.h.
#include "pipeline/buffer_pool.h"

#include <sys/mman.h>

#include <bit>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kSmallest = std::uint64_t{4} << 10;
constexpr std::uint64_t kHugePage = std::uint64_t{2} << 20;

// Four classes are a factor of two.
constexpr std::size_t kLargerClasses = 4;

std::uint64_t capacity_for(std::uint64_t bytes) {
  if (bytes <= kSmallest) return kSmallest;
  const std::uint64_t step = std::bit_floor(bytes) / 4;
  return (bytes + step - 1) / step * step;
}

// At most 4 x 63; capacities are quarters of powers of two.
std::size_t class_of(std::uint64_t capacity) {
  const auto exponent = static_cast<std::size_t>(std::bit_width(capacity) - 1);
  return exponent * 4 + (capacity >> (exponent - 2) & 3);
}

// Records are read in an order without locality, so most pages would miss the TLB: large buffers
// ask for huge ones.
std::unique_ptr<std::byte[], FreeMemory> allocate(std::uint64_t capacity) {
  void* memory = nullptr;
  const std::size_t alignment = capacity < kHugePage ? alignof(std::max_align_t) : kHugePage;
  if (::posix_memalign(&memory, alignment, capacity) != 0) throw std::bad_alloc();
  if (capacity >= kHugePage) ::madvise(memory, capacity, MADV_HUGEPAGE);
  return std::unique_ptr<std::byte[], FreeMemory>(static_cast<std::byte*>(memory));
}

}  // namespace

PooledBuffer BufferPool::take(std::uint64_t bytes) {
  const std::uint64_t capacity = capacity_for(bytes);
  std::vector<PooledBuffer> dropped;  // freed after the lock, before more is taken
  {
    const std::lock_guard lock(mutex_);
    const std::size_t fitting = class_of(capacity);
    for (std::size_t i = fitting; i <= fitting + kLargerClasses; ++i) {
      if (free_[i].empty()) continue;
      PooledBuffer buffer = std::move(free_[i].back());
      free_[i].pop_back();
      return buffer;
    }
    held_bytes_ += capacity;
    // The smallest first: a larger one may serve in its place, not the other way round.
    for (std::vector<PooledBuffer>& others : free_) {
      while (limit_ > 0 && held_bytes_ > limit_ && !others.empty()) {
        held_bytes_ -= others.back().capacity;
        dropped.push_back(std::move(others.back()));
        others.pop_back();
      }
    }
  }
  dropped.clear();
  return {allocate(capacity), capacity};
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
