// A queue between threads that holds at most `capacity` items: producers wait for room, consumers
// for items.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

namespace bit::pipeline {

// Memory is taken once. Any number of producers and consumers. The end of the items (close) and a
// stop are told apart by the caller, who owns the stop token.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : items_(capacity) {}

  // False: stopped, the item was not taken. Not to be called after close().
  bool push(T item, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    if (!has_room_.wait(lock, stop, [&] { return count_ < items_.size(); })) return false;
    items_[(first_ + count_++) % items_.size()] = std::move(item);
    lock.unlock();
    has_items_.notify_one();
    return true;
  }

  // No more items will come.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    has_items_.notify_all();
  }

  // nullopt: closed and empty, or stopped.
  std::optional<T> pop(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    if (!has_items_.wait(lock, stop, [&] { return closed_ || count_ > 0; })) return {};
    if (count_ == 0) return {};
    std::optional<T> item = std::move(items_[first_]);
    first_ = (first_ + 1) % items_.size();
    --count_;
    lock.unlock();
    has_room_.notify_one();
    return item;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any has_room_, has_items_;
  std::vector<T> items_;  // a ring
  std::size_t first_ = 0, count_ = 0;
  bool closed_ = false;
};

}  // namespace bit::pipeline
