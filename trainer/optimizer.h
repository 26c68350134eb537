// SGD with momentum and coupled weight decay: g += decay * w; v = momentum * v + g; w -= rate * v.
// Kernels of convolutions are standardised again in the same sweep.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "trainer/resnet_v2.h"

namespace bit::trainer {

struct SgdOptions {
  double momentum = 0.9;
  double weight_decay = 0;
  bool decoupled_decay = false;  // v is without decay, and w -= rate * (v + decay * w)
};

// Whether the squares of all values, and their sum, are finite fp32 numbers: normalization squares
// them, so beyond that no forward pass has a finite loss.
struct Finite {
  bool momentum = true;
  bool weights = true;
};

// L2 norms of one parameter in one update.
struct UpdateNorms {
  double gradient = 0;  // of the weights (not of what was standardised), as it was applied
  double weight = 0;    // after the update
  double update = 0;    // rate * v
};

class SgdMomentum {
 public:
  SgdMomentum(const std::vector<Parameter>& parameters, const SgdOptions& options);
  // Reads the .grad() of each parameter's leaf, which times `scale` is the mean gradient of the
  // global batch, and drops it: the next backward pass starts from nothing. Weights and leaves
  // change in place. Says what the update left behind.
  Finite step(double learning_rate, double scale = 1);
  // Instead of step(): the gradients go, nothing else changes.
  void drop_gradients();
  // Norm of the mean gradient of all weights together, before any update.
  double gradient_norm(double scale = 1) const;
  // Of the last step, in the order of the parameters.
  const std::vector<UpdateNorms>& norms() const { return norms_; }
  // fp32, same shapes, strides and order as the parameters, for checkpoints.
  const std::vector<at::Tensor>& momentum_buffers() const { return velocity_; }

 private:
  // A part of one parameter's rows, or values when it is not standardised; on the CPU one thread's
  // work at a time.
  struct Part {
    std::size_t parameter;
    std::int64_t first, count;
  };
  template <typename Work>
  void for_each_part(Work work) const;

  std::vector<Parameter> parameters_;
  SgdOptions options_;
  std::vector<at::Tensor> velocity_;
  std::vector<Part> parts_;
  std::vector<UpdateNorms> norms_;
};

}  // namespace bit::trainer
