// Sums gradients over ranks while backward is still running: parameters are packed into buckets in
// the order their gradients become ready, and a full bucket's all-reduce starts at once. Sums
// travel; the division by the global batch is the optimizer's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "trainer/resnet_v2.h"

namespace bit::trainer {

struct ReducerOptions {
  // small, so that the wire starts early
  std::uint64_t first_bucket_bytes = std::uint64_t{1} << 20;
  std::uint64_t bucket_bytes = std::uint64_t{25} << 20;
};

class GradientReducer {
 public:
  // Hooks the parameters' gradient accumulators. `ready_order`: parameter names in the order their
  // gradients become ready, as ready_order() gave it in an earlier run; empty takes the reverse of
  // the forward order until it is observed.
  GradientReducer(cluster::Communicator& communicator, const std::vector<Parameter>& parameters,
                  const ReducerOptions& options = {},
                  const std::vector<std::string>& ready_order = {});
  ~GradientReducer();

  // Before the backward pass whose gradients travel: the last micro-step of an update. Gradients of
  // earlier ones are added up here, in fp32 whatever the leaves are, and call nothing.
  void begin();
  // After that backward pass: waits for the sums and leaves them in the .grad() of every leaf, with
  // the leaf's strides: fp32, or on a single rank without earlier micro-steps what backward left.
  // They are good until the next backward pass. Throws CommError.
  void finish();

  // Rank 0's observed order, the same on all ranks once the first finish() returned: buckets are
  // rebuilt from it once and never change again, so a run that is resumed with it adds in the same
  // order. Empty before.
  const std::vector<std::string>& ready_order() const;
  // positions in the constructor's list, in ready order
  struct Bucket {
    std::vector<std::size_t> parameters;
    std::uint64_t bytes = 0;
  };
  const std::vector<Bucket>& buckets() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Splits parameters (given in ready order) into buckets: the first at most first_bucket_bytes, the
// rest at most bucket_bytes, a larger parameter alone.
std::vector<GradientReducer::Bucket> plan_buckets(const std::vector<std::uint64_t>& bytes,
                                                  const std::vector<std::size_t>& ready_order,
                                                  const ReducerOptions& options);

}  // namespace bit::trainer
