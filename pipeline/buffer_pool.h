// Buffers that are used again: what is given back serves the next that needs as much, so that
// reading goes on without taking memory from the system. (At the limit, buffers of one size
// sometimes make room for another.)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

namespace bit::pipeline {

struct FreeMemory {
  void operator()(std::byte* memory) const { std::free(memory); }
};

struct PooledBuffer {
  std::unique_ptr<std::byte[], FreeMemory> data;
  std::uint64_t capacity = 0;  // bytes
};

// Any thread. Capacities are 4 KiB or 4 to 7 times a power of two, so less than a quarter above
// what was asked for, and buffers of about the same need find each other.
class BufferPool {
 public:
  // A free buffer of up to twice the size is taken before memory is asked for. `limit`: bytes of
  // buffers, lent and free together; 0: none. Where another buffer would exceed it, free ones are
  // given to the system first. Only what is lent can exceed it.
  explicit BufferPool(std::uint64_t limit) : limit_(limit) {}

  PooledBuffer take(std::uint64_t bytes);
  void give_back(PooledBuffer buffer);

  std::uint64_t held_bytes() const;  // lent and free

 private:
  const std::uint64_t limit_;
  mutable std::mutex mutex_;
  std::array<std::vector<PooledBuffer>, 260> free_;  // by capacity
  std::uint64_t held_bytes_ = 0;
};

}  // namespace bit::pipeline
