// Work done by several threads, handed out in order: result n is a function of n alone, at most
// `window` results are held, and an exception comes out at its place in the order. So the
// number of threads changes the speed, never the output.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace bit::pipeline {

template <typename Result>
class OrderedWindow {
 public:
  // Called once in each thread; the worker it returns is called with the numbers the thread gets.
  using Worker = std::function<Result(std::uint64_t number)>;
  using MakeWorker = std::function<Worker()>;

  // Numbers 0 ... count-1. Results ahead of the one that next() waits for are held while their
  // bytes (as `bytes_of` says) stay below `memory_limit`, so that many large images do not pile up.
  OrderedWindow(std::uint64_t count, unsigned threads, std::size_t window,
                std::uint64_t memory_limit, std::function<std::uint64_t(const Result&)> bytes_of,
                const MakeWorker& make_worker)
      : count_(count),
        memory_limit_(memory_limit),
        bytes_of_(std::move(bytes_of)),
        slots_(std::max<std::size_t>(window, threads)) {
    for (unsigned i = 0; i < threads; ++i) {
      threads_.emplace_back(
          [this, make_worker](const std::stop_token& stop) { run(stop, make_worker()); });
    }
  }

  // The next result; nullopt after the last. Throws what its worker threw. One thread.
  std::optional<Result> next() {
    if (taken_ == count_) return std::nullopt;
    Slot slot;
    {
      std::unique_lock lock(mutex_);
      Slot& place = slots_[taken_ % slots_.size()];
      ready_.wait(lock, [&] { return place.result.has_value() || place.error != nullptr; });
      slot = std::exchange(place, Slot{});
      if (slot.result) held_bytes_ -= bytes_of_(*slot.result);
      ++taken_;
    }
    room_.notify_all();
    if (slot.error) std::rethrow_exception(slot.error);
    return std::move(slot.result);
  }

 private:
  struct Slot {
    std::optional<Result> result;
    std::exception_ptr error;
  };

  void run(const std::stop_token& stop, const Worker& worker) {
    while (const auto number = take_number(stop)) {
      Slot slot;
      try {
        slot.result = worker(*number);
      } catch (...) {
        slot.error = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex_);
        if (slot.result) held_bytes_ += bytes_of_(*slot.result);
        slots_[*number % slots_.size()] = std::move(slot);
      }
      ready_.notify_one();
    }
  }

  std::optional<std::uint64_t> take_number(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    const bool go = room_.wait(lock, stop, [&] {
      return given_ == count_ || given_ == taken_ ||
             (given_ < taken_ + slots_.size() && held_bytes_ < memory_limit_);
    });
    if (!go || given_ == count_ || stop.stop_requested()) return std::nullopt;
    return given_++;
  }

  const std::uint64_t count_;
  const std::uint64_t memory_limit_;
  const std::function<std::uint64_t(const Result&)> bytes_of_;
  std::mutex mutex_;
  std::condition_variable_any ready_;  // the result next() waits for may be there
  std::condition_variable_any room_;   // a number may be taken
  std::vector<Slot> slots_;            // result n is in slot n % size
  std::uint64_t given_ = 0;            // numbers taken by threads
  std::uint64_t taken_ = 0;            // results handed out; written under the mutex
  std::uint64_t held_bytes_ = 0;
  std::vector<std::jthread> threads_;  // last: they stop before the rest goes away
};

}  // namespace bit::pipeline
