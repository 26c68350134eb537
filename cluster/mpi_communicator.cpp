// Nonblocking MPI collectives, polled: progress is made by MPI_Test, with sleeps in between so that
// the cores stay with the computation. Open MPI's schedules are fixed for given ranks and sizes, so
// sums have the same bits every time.
#include "cluster/mpi_communicator.h"

#include <mpi.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>
#include <utility>

#include "cluster/self_communicator.h"
#include "cluster/topology.h"

namespace bit::cluster {

// Shared with the communicators, which may outlive a failure but not the environment.
struct MpiEnvironment::State {
  bool started = false;              // MPI_Init has been called
  int exceptions = 0;                // in flight when the environment was made
  std::atomic<bool> broken = false;  // a collective failed: other ranks may never answer again
};

namespace {

using Clock = std::chrono::steady_clock;

std::string error_text(int code) {
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  return std::string(text, static_cast<std::size_t>(length));
}

// True when a launcher started this process as one of several: Open MPI's mpirun, or Slurm and
// others through PMIx or PMI.
bool launched_by_mpi() {
  constexpr const char* kVariables[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_FD"};
  return std::any_of(std::begin(kVariables), std::end(kVariables),
                     [](const char* name) { return std::getenv(name) != nullptr; });
}

MPI_Datatype mpi_type(ReduceType type) {
  if (type == ReduceType::kF32) return MPI_FLOAT;
  return type == ReduceType::kF64 ? MPI_DOUBLE : MPI_INT64_T;
}

std::size_t type_bytes(ReduceType type) { return type == ReduceType::kF32 ? 4 : 8; }

MPI_Op mpi_op(ReduceOp op) {
  if (op == ReduceOp::kSum) return MPI_SUM;
  return op == ReduceOp::kMin ? MPI_MIN : MPI_MAX;
}

// What a communicator and its collectives in flight share.
struct Link {
  MPI_Comm comm = MPI_COMM_NULL;
  int rank = 0;
  int size = 1;
  std::string host;
  std::chrono::milliseconds deadline{};
  std::size_t max_count = kMaxMpiCount;
  std::shared_ptr<std::atomic<bool>> broken;

  [[noreturn]] void fail(const std::string& what, const std::string& why) const {
    *broken = true;
    throw CommError("rank " + std::to_string(rank) + " on " + host + ": " + what + ": " + why);
  }
  void check(int code, const std::string& what) const {
    if (code != MPI_SUCCESS) fail(what, error_text(code));
  }
};

// The MPI requests of one collective (several when it was split) and the types they use.
class MpiPending final : public PendingCollective {
 public:
  MpiPending(std::shared_ptr<const Link> link, std::string what)
      : link_(std::move(link)), what_(std::move(what)) {}

  // MPI cannot cancel a collective: one that is given up leaves the communicator unusable, and the
  // run has to end.
  ~MpiPending() override {
    if (!done()) {
      *link_->broken = true;
      return;
    }
    for (MPI_Datatype& type : types_) MPI_Type_free(&type);
  }

  MPI_Request* add_request() { return &requests_.emplace_back(MPI_REQUEST_NULL); }
  MPI_Datatype* add_type() { return &types_.emplace_back(MPI_DATATYPE_NULL); }

  bool test() override {
    for (; first_open_ < requests_.size(); ++first_open_) {
      int finished = 0;
      link_->check(MPI_Test(&requests_[first_open_], &finished, MPI_STATUS_IGNORE), what_);
      if (finished == 0) return false;
    }
    return true;
  }

  void wait() override {
    using std::chrono::microseconds;
    constexpr int kBusyPolls = 64;
    constexpr microseconds kShortest(20), kLongest(200);
    for (int poll = 0; poll < kBusyPolls; ++poll) {
      if (test()) return;
      std::this_thread::yield();
    }
    const auto end = Clock::now() + link_->deadline;
    for (microseconds pause = kShortest; !test(); pause = std::min(pause * 2, kLongest)) {
      if (Clock::now() >= end) {
        link_->fail(what_, "did not finish within " + std::to_string(link_->deadline.count()) +
                               " ms; another rank has failed or is stuck");
      }
      std::this_thread::sleep_for(pause);
    }
  }

 private:
  bool done() const { return first_open_ == requests_.size(); }

  std::shared_ptr<const Link> link_;
  std::string what_;
  std::vector<MPI_Request> requests_;
  std::vector<MPI_Datatype> types_;
  std::size_t first_open_ = 0;
};

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(std::shared_ptr<const Link> link) : link_(std::move(link)) {}

  ~MpiCommunicator() override {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized == 0 && !*link_->broken && std::uncaught_exceptions() == 0) {
      MPI_Comm comm = link_->comm;
      MPI_Comm_free(&comm);
    }
  }

  int rank() const override { return link_->rank; }
  int size() const override { return link_->size; }
  const char* name() const override { return "mpi"; }
  const std::string& host() const override { return link_->host; }

  std::unique_ptr<PendingCollective> start_all_reduce(void* data, std::size_t count,
                                                      ReduceType type, ReduceOp op) override {
    auto pending = make_pending("all_reduce of " + std::to_string(count) + " values");
    auto* bytes = static_cast<std::byte*>(data);
    for_each_piece(count, [&](std::size_t first, int length) {
      return MPI_Iallreduce(MPI_IN_PLACE, bytes + first * type_bytes(type), length, mpi_type(type),
                            mpi_op(op), link_->comm, pending->add_request());
    });
    return pending;
  }

  std::unique_ptr<PendingCollective> start_broadcast(std::span<std::byte> data, int root) override {
    if (root < 0 || root >= size()) {
      throw std::invalid_argument("broadcast: no rank " + std::to_string(root));
    }
    auto pending = make_pending("broadcast of " + std::to_string(data.size()) +
                                " bytes from rank " + std::to_string(root));
    for_each_piece(data.size(), [&](std::size_t first, int length) {
      return MPI_Ibcast(data.data() + first, length, MPI_BYTE, root, link_->comm,
                        pending->add_request());
    });
    return pending;
  }

  // The pieces of rank r land at r * bytes.size(): one element of a type whose extent is that
  // distance.
  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override {
    if (out.size() != bytes.size() * static_cast<std::size_t>(size())) {
      throw std::invalid_argument("all_gather: wrong output size");
    }
    const std::string what = "all_gather of " + std::to_string(bytes.size()) + " bytes";
    auto pending = make_pending(what);
    for_each_piece(bytes.size(), [&](std::size_t first, int length) {
      MPI_Datatype contiguous = MPI_DATATYPE_NULL;
      link_->check(MPI_Type_contiguous(length, MPI_BYTE, &contiguous), what);
      MPI_Datatype* spaced = pending->add_type();
      link_->check(
          MPI_Type_create_resized(contiguous, 0, static_cast<MPI_Aint>(bytes.size()), spaced),
          what);
      MPI_Type_free(&contiguous);
      link_->check(MPI_Type_commit(spaced), what);
      return MPI_Iallgather(bytes.data() + first, length, MPI_BYTE, out.data() + first, 1, *spaced,
                            link_->comm, pending->add_request());
    });
    return pending;
  }

  std::unique_ptr<PendingCollective> start_barrier() override {
    auto pending = make_pending("barrier");
    link_->check(MPI_Ibarrier(link_->comm, pending->add_request()), "barrier");
    return pending;
  }

  std::unique_ptr<Communicator> duplicate() override { return duplicate_of(*link_); }

  [[noreturn]] void abort(int exit_code) override {
    std::fflush(nullptr);
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    std::_Exit(exit_code);
  }

  // Waits with the deadline, as MPI_Comm_dup could not.
  static std::unique_ptr<Communicator> duplicate_of(const Link& original) {
    auto link = std::make_shared<Link>(original);
    MpiPending pending(link, "duplicate");
    link->check(MPI_Comm_idup(original.comm, &link->comm, pending.add_request()), "duplicate");
    pending.wait();
    return std::make_unique<MpiCommunicator>(link);
  }

 private:
  std::unique_ptr<MpiPending> make_pending(const std::string& what) {
    if (*link_->broken) link_->fail(what, "an earlier collective has failed");
    return std::make_unique<MpiPending>(link_, what);
  }

  // start(first, length) for pieces of at most max_count; returns an MPI error code.
  template <typename Start>
  void for_each_piece(std::size_t count, Start start) {
    for (std::size_t first = 0; first < count; first += link_->max_count) {
      const auto length = static_cast<int>(std::min(link_->max_count, count - first));
      link_->check(start(first, length), "starting a collective");
    }
  }

  std::shared_ptr<const Link> link_;
};

}  // namespace

MpiEnvironment::MpiEnvironment(int* argc, char*** argv) : state_(std::make_shared<State>()) {
  state_->exceptions = std::uncaught_exceptions();
  if (!launched_by_mpi()) return;
  int granted = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &granted) != MPI_SUCCESS) {
    throw CommError("MPI_Init_thread failed");
  }
  state_->started = true;
  if (granted < MPI_THREAD_MULTIPLE) {
    throw CommError("this MPI does not let several threads communicate (MPI_THREAD_MULTIPLE)");
  }
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
}

MpiEnvironment::~MpiEnvironment() {
  const bool ending_badly = state_->broken || std::uncaught_exceptions() > state_->exceptions;
  if (state_->started && !ending_badly) MPI_Finalize();
}

std::unique_ptr<Communicator> MpiEnvironment::world(std::chrono::milliseconds deadline,
                                                    std::size_t max_count) {
  if (!state_->started) return make_self_communicator();
  Link link;
  link.comm = MPI_COMM_WORLD;
  link.host = host_name();
  link.deadline = deadline;
  link.max_count = max_count;
  link.broken = std::shared_ptr<std::atomic<bool>>(state_, &state_->broken);
  link.check(MPI_Comm_rank(link.comm, &link.rank), "finding the rank");
  link.check(MPI_Comm_size(link.comm, &link.size), "finding the number of ranks");
  if (link.size == 1) return make_self_communicator();
  return MpiCommunicator::duplicate_of(link);
}

}  // namespace bit::cluster
