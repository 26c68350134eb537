// Ranks: who they are, and moving bytes between them. A Communicator only moves bytes; buckets,
// overlap and order are GradientReducer's. Implementations: SelfCommunicator (a run of one),
// MpiCommunicator, ThreadCommunicator (tests).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace bit::cluster {

// A rank that failed, left or did not answer in time: exit code 76. what() names it as far as it is
// known.
class CommError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class ReduceType { kF32, kF64, kI64 };
enum class ReduceOp { kSum, kMin, kMax };

// A collective under way. The buffer it was started on must stay alive and untouched until wait()
// returns or test() is true.
class PendingCollective {
 public:
  virtual ~PendingCollective() = default;
  // True once the result is in the buffer. Progress is made by test() and wait(). Throws CommError.
  virtual bool test() = 0;
  // Returns when the result is in the buffer. Sleeps between polls instead of burning a core.
  // Throws CommError when `deadline` passes.
  virtual void wait() = 0;
};

// Collectives have to be started in the same order on all ranks. One thread at a time may use a
// communicator; another thread works on a duplicate(). Every wait has the deadline given at
// construction.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual const char* name() const = 0;         // "self", "mpi", "threads"
  virtual const std::string& host() const = 0;  // of this rank

  // In place, over all ranks, element by element. The same ranks and sizes give the same bits every
  // time.
  virtual std::unique_ptr<PendingCollective> start_all_reduce(void* data, std::size_t count,
                                                              ReduceType type, ReduceOp op) = 0;
  virtual std::unique_ptr<PendingCollective> start_broadcast(std::span<std::byte> data,
                                                             int root) = 0;
  // out[r * bytes.size()...] on every rank. out.size() == bytes.size() * size().
  virtual std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                              std::span<std::byte> out) = 0;
  virtual std::unique_ptr<PendingCollective> start_barrier() = 0;
  // An independent communicator over the same ranks (collective), for use by another thread.
  virtual std::unique_ptr<Communicator> duplicate() = 0;
  // Ends every rank with `exit_code`, this one included.
  [[noreturn]] virtual void abort(int exit_code) = 0;

  // Blocking forms.
  void all_reduce(std::span<float> values, ReduceOp op = ReduceOp::kSum);
  void all_reduce(std::span<double> values, ReduceOp op = ReduceOp::kSum);
  void all_reduce(std::span<std::int64_t> values, ReduceOp op = ReduceOp::kSum);
  void broadcast(std::span<std::byte> data, int root = 0);
  // Texts of different lengths.
  std::string broadcast(const std::string& text, int root = 0);  // the root's text, on every rank
  std::vector<std::string> all_gather(const std::string& text);  // [rank]
  void barrier();
};

}  // namespace bit::cluster
