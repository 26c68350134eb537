#include "cluster/self_communicator.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cluster/topology.h"

namespace bit::cluster {
namespace {

class Done final : public PendingCollective {
 public:
  bool test() override { return true; }
  void wait() override {}
};

class SelfCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  const char* name() const override { return "self"; }
  const std::string& host() const override { return host_; }

  std::unique_ptr<PendingCollective> start_all_reduce(void*, std::size_t, ReduceType,
                                                      ReduceOp) override {
    return std::make_unique<Done>();
  }

  std::unique_ptr<PendingCollective> start_broadcast(std::span<std::byte>, int root) override {
    if (root != 0) throw std::invalid_argument("broadcast: no rank " + std::to_string(root));
    return std::make_unique<Done>();
  }

  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override {
    if (out.size() != bytes.size()) throw std::invalid_argument("all_gather: wrong output size");
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return std::make_unique<Done>();
  }

  std::unique_ptr<PendingCollective> start_barrier() override { return std::make_unique<Done>(); }

  std::unique_ptr<Communicator> duplicate() override { return make_self_communicator(); }

  [[noreturn]] void abort(int exit_code) override {
    std::fflush(nullptr);
    std::_Exit(exit_code);
  }

 private:
  std::string host_ = host_name();
};

}  // namespace

std::unique_ptr<Communicator> make_self_communicator() {
  return std::make_unique<SelfCommunicator>();
}

}  // namespace bit::cluster
