#include "launcher/shard_commands/ranks_at_work.h"

#include <array>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "launcher/together.h"

namespace bit::launcher {
namespace {

constexpr auto kBeat = std::chrono::milliseconds(100);

// Work in a thread of its own.
class Worker {
 public:
  explicit Worker(std::function<bool(const std::stop_token&)> work)
      : work_(std::move(work)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

  // Whether it has ended; waits a beat for it.
  bool ended() {
    std::unique_lock lock(mutex_);
    return end_.wait_for(lock, kBeat, [&] { return ended_; });
  }
  void stop() { thread_.request_stop(); }
  bool failed() const { return failure_ != nullptr; }  // when it has ended
  // Throws what the work threw.
  bool result() {
    thread_.join();
    if (failure_) std::rethrow_exception(failure_);
    return result_;
  }

 private:
  void run(const std::stop_token& stop) {
    try {
      result_ = work_(stop);
    } catch (...) {
      failure_ = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    end_.notify_all();
  }

  const std::function<bool(const std::stop_token&)> work_;
  std::mutex mutex_;
  std::condition_variable end_;
  bool ended_ = false;
  bool result_ = false;
  std::exception_ptr failure_;
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace

bool ranks_at_work(
    cluster::Communicator& communicator, const SignalFlags& signals,
    const std::function<bool(const std::stop_token&, pipeline::ConvertCounters&)>& work,
    const std::function<void(const WorkDone&)>& show) {
  pipeline::ConvertCounters counters;
  Worker worker([&](const std::stop_token& stop) { return work(stop, counters); });
  for (bool all_ended = false; !all_ended;) {
    const bool ended = worker.ended();
    const bool failed = ended && worker.failed();
    std::array<std::int64_t, 5> sums = {static_cast<std::int64_t>(counters.images),
                                        static_cast<std::int64_t>(counters.bytes_read),
                                        static_cast<std::int64_t>(counters.bytes_written),
                                        ended ? 1 : 0, failed || signals.stop_requested() ? 1 : 0};
    communicator.all_reduce(sums);
    if (sums[4] > 0) worker.stop();
    all_ended = sums[3] == communicator.size();
    show({static_cast<std::uint64_t>(sums[0]), static_cast<std::uint64_t>(sums[1]),
          static_cast<std::uint64_t>(sums[2])});
  }
  bool complete = false;
  together(communicator, [&] { complete = worker.result(); });
  std::array<std::int64_t, 1> stopped = {complete ? 0 : 1};
  communicator.all_reduce(stopped);
  return stopped[0] == 0;
}

}  // namespace bit::launcher
