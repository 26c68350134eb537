// The first error of several threads: it stops all of them, and is what the owner of the threads
// throws.
#pragma once

#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

namespace bit::pipeline {

class FirstFailure {
 public:
  std::stop_token stop_token() const { return stop_.get_token(); }
  void stop() { stop_.request_stop(); }

  // Keeps `error` unless there is one already, and stops.
  void record(std::exception_ptr error) {
    {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::move(error);
    }
    stop();
  }
  void rethrow() const {
    const std::lock_guard lock(mutex_);
    if (error_) std::rethrow_exception(error_);
  }

  // Runs `body` in a thread of its own and records what it throws. Must outlive the thread.
  template <typename Body>
  std::jthread run(Body body) {
    return std::jthread([this, body = std::move(body)] {
      try {
        body();
      } catch (...) {
        record(std::current_exception());
      }
    });
  }

 private:
  std::stop_source stop_;
  mutable std::mutex mutex_;
  std::exception_ptr error_;
};

}  // namespace bit::pipeline
