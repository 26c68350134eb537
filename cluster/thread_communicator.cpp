// A collective is a slot that every rank enters in turn; the last one to enter does the work for
// all, under one lock.
#include "cluster/thread_communicator.h"

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "cluster/topology.h"

namespace bit::cluster {
namespace {

// Another rank failed first: its own exception says more.
class PeerFailed : public CommError {
 public:
  using CommError::CommError;
};

// What the ranks of one run_ranks_as_threads() share.
struct Run {
  Run(int rank_count, std::chrono::milliseconds longest_wait)
      : ranks(rank_count), deadline(longest_wait) {}

  const int ranks;
  const std::chrono::milliseconds deadline;
  std::mutex mutex;  // guards `failure` and the slots of all groups
  std::condition_variable changed;
  std::string failure;  // the first one; empty while all is well

  void fail(const std::string& reason) {  // with `mutex` held
    if (failure.empty()) failure = reason;
    changed.notify_all();
  }
};

enum class Kind { kAllReduce, kBroadcast, kAllGather, kBarrier, kDuplicate };

// What a rank asks for. It has to be equal on all ranks.
struct Call {
  Kind kind = Kind::kBarrier;
  std::size_t size = 0;  // elements of an all-reduce, else bytes
  ReduceType type = ReduceType::kF32;
  ReduceOp op = ReduceOp::kSum;
  int root = 0;
  bool operator==(const Call&) const = default;
};

std::string describe(const Call& call) {
  constexpr const char* kNames[] = {"all_reduce", "broadcast", "all_gather", "barrier",
                                    "duplicate"};
  return std::string(kNames[static_cast<int>(call.kind)]) + " of size " + std::to_string(call.size);
}

struct Buffer {
  bool entered = false;
  const std::byte* in = nullptr;
  std::byte* out = nullptr;
};

struct Group;

struct Slot {
  Call call;
  std::vector<Buffer> buffers;  // [rank]
  int entered = 0;
  bool done = false;
  std::shared_ptr<Group> duplicate;
};

// One communicator, seen from all of its ranks.
struct Group {
  std::shared_ptr<Run> run;
  std::map<std::uint64_t, std::shared_ptr<Slot>> open;  // by the collective's number
};

template <typename T>
T combine(T a, T b, ReduceOp op) {
  if (op == ReduceOp::kSum) return static_cast<T>(a + b);
  return op == ReduceOp::kMin ? std::min(a, b) : std::max(a, b);
}

template <typename T>
void reduce(const Slot& slot) {
  const auto values = [&](std::size_t r) { return reinterpret_cast<T*>(slot.buffers[r].out); };
  for (std::size_t i = 0; i < slot.call.size; ++i) {
    T result = values(0)[i];
    for (std::size_t r = 1; r < slot.buffers.size(); ++r) {
      result = combine(result, values(r)[i], slot.call.op);
    }
    for (std::size_t r = 0; r < slot.buffers.size(); ++r) values(r)[i] = result;
  }
}

void finish(Slot& slot, const std::shared_ptr<Run>& run) {
  const Call& call = slot.call;
  if (call.kind == Kind::kAllReduce) {
    if (call.type == ReduceType::kF32) reduce<float>(slot);
    if (call.type == ReduceType::kF64) reduce<double>(slot);
    if (call.type == ReduceType::kI64) reduce<std::int64_t>(slot);
  } else if (call.kind == Kind::kBroadcast) {
    const std::byte* source = slot.buffers[static_cast<std::size_t>(call.root)].out;
    for (Buffer& buffer : slot.buffers) {
      if (buffer.out != source) std::copy_n(source, call.size, buffer.out);
    }
  } else if (call.kind == Kind::kAllGather) {
    for (Buffer& buffer : slot.buffers) {
      for (std::size_t r = 0; r < slot.buffers.size(); ++r) {
        std::copy_n(slot.buffers[r].in, call.size, buffer.out + r * call.size);
      }
    }
  } else if (call.kind == Kind::kDuplicate) {
    slot.duplicate = std::make_shared<Group>(Group{run, {}});
  }
  slot.done = true;
  run->changed.notify_all();
}

class PendingSlot final : public PendingCollective {
 public:
  PendingSlot(std::shared_ptr<Run> run, std::shared_ptr<Slot> slot, int rank)
      : run_(std::move(run)), slot_(std::move(slot)), rank_(rank) {}

  // A rank that gives up takes its buffer along, so nobody may finish the collective any more.
  ~PendingSlot() override {
    const std::lock_guard lock(run_->mutex);
    if (!slot_->done) {
      run_->fail("rank " + std::to_string(rank_) + " gave up " + describe(slot_->call));
    }
  }

  bool test() override {
    const std::lock_guard lock(run_->mutex);
    return check();
  }

  void wait() override {
    std::unique_lock lock(run_->mutex);
    if (run_->changed.wait_for(lock, run_->deadline, [&] { return check(); })) return;
    std::string missing;
    for (std::size_t r = 0; r < slot_->buffers.size(); ++r) {
      if (!slot_->buffers[r].entered) missing += " " + std::to_string(r);
    }
    const std::string reason = "rank " + std::to_string(rank_) + ": " + describe(slot_->call) +
                               " did not finish within " + std::to_string(run_->deadline.count()) +
                               " ms; it was not started by rank" + missing;
    run_->fail(reason);
    throw CommError(reason);
  }

 private:
  bool check() const {
    if (slot_->done) return true;
    if (!run_->failure.empty()) throw PeerFailed(run_->failure);
    return false;
  }

  std::shared_ptr<Run> run_;
  std::shared_ptr<Slot> slot_;
  int rank_;
};

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<Group> group, int rank)
      : group_(std::move(group)), run_(group_->run), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return run_->ranks; }
  const char* name() const override { return "threads"; }
  const std::string& host() const override { return host_; }

  std::unique_ptr<PendingCollective> start_all_reduce(void* data, std::size_t count,
                                                      ReduceType type, ReduceOp op) override {
    return start({Kind::kAllReduce, count, type, op, 0}, nullptr, static_cast<std::byte*>(data));
  }

  std::unique_ptr<PendingCollective> start_broadcast(std::span<std::byte> data, int root) override {
    if (root < 0 || root >= size()) {
      throw std::invalid_argument("broadcast: no rank " + std::to_string(root));
    }
    return start({Kind::kBroadcast, data.size(), {}, {}, root}, nullptr, data.data());
  }

  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override {
    if (out.size() != bytes.size() * static_cast<std::size_t>(size())) {
      throw std::invalid_argument("all_gather: wrong output size");
    }
    return start({Kind::kAllGather, bytes.size(), {}, {}, 0}, bytes.data(), out.data());
  }

  std::unique_ptr<PendingCollective> start_barrier() override {
    return start({}, nullptr, nullptr);
  }

  std::unique_ptr<Communicator> duplicate() override {
    std::shared_ptr<Slot> slot;
    start({Kind::kDuplicate, 0, {}, {}, 0}, nullptr, nullptr, &slot)->wait();
    return std::make_unique<ThreadCommunicator>(slot->duplicate, rank_);
  }

  [[noreturn]] void abort(int exit_code) override {
    std::fflush(nullptr);
    std::_Exit(exit_code);
  }

 private:
  std::unique_ptr<PendingCollective> start(const Call& call, const std::byte* in, std::byte* out,
                                           std::shared_ptr<Slot>* entered = nullptr) {
    const std::lock_guard lock(run_->mutex);
    if (!run_->failure.empty()) throw PeerFailed(run_->failure);
    const std::uint64_t number = next_++;
    std::shared_ptr<Slot>& open = group_->open[number];
    if (open == nullptr) {
      open = std::make_shared<Slot>();
      open->call = call;
      open->buffers.resize(static_cast<std::size_t>(size()));
    }
    const std::shared_ptr<Slot> slot = open;
    if (slot->call != call) {
      run_->fail("rank " + std::to_string(rank_) + " started " + describe(call) +
                 " where another rank started " + describe(slot->call));
      throw CommError(run_->failure);
    }
    slot->buffers[static_cast<std::size_t>(rank_)] = {true, in, out};
    if (++slot->entered == size()) {
      group_->open.erase(number);
      finish(*slot, run_);
    }
    if (entered != nullptr) *entered = slot;
    return std::make_unique<PendingSlot>(run_, slot, rank_);
  }

  std::shared_ptr<Group> group_;
  std::shared_ptr<Run> run_;
  int rank_;
  std::string host_ = host_name();
  std::uint64_t next_ = 0;  // number of this rank's next collective
};

}  // namespace

void run_ranks_as_threads(int ranks, const std::function<void(Communicator&)>& body,
                          std::chrono::milliseconds deadline) {
  if (ranks < 1) throw std::invalid_argument("run_ranks_as_threads: needs at least one rank");
  const auto run = std::make_shared<Run>(ranks, deadline);
  const auto world = std::make_shared<Group>(Group{run, {}});
  std::vector<std::exception_ptr> own(static_cast<std::size_t>(ranks));     // [rank]
  std::vector<std::exception_ptr> caused(static_cast<std::size_t>(ranks));  // by another rank
  const auto run_rank = [&](int rank) {
    const auto fail = [&](const std::string& why) {
      const std::lock_guard lock(run->mutex);
      run->fail("rank " + std::to_string(rank) + " failed: " + why);
    };
    try {
      ThreadCommunicator communicator(world, rank);
      body(communicator);
    } catch (const PeerFailed&) {
      caused[static_cast<std::size_t>(rank)] = std::current_exception();
    } catch (const std::exception& error) {
      own[static_cast<std::size_t>(rank)] = std::current_exception();
      fail(error.what());
    } catch (...) {
      own[static_cast<std::size_t>(rank)] = std::current_exception();
      fail("unknown exception");
    }
  };
  std::vector<std::jthread> threads;
  threads.reserve(static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks; ++rank) threads.emplace_back(run_rank, rank);
  for (std::jthread& thread : threads) thread.join();
  for (const auto* errors : {&own, &caused}) {
    for (const std::exception_ptr& error : *errors) {
      if (error != nullptr) std::rethrow_exception(error);
    }
  }
}

}  // namespace bit::cluster
