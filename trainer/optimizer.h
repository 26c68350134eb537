// SGD with momentum and coupled weight decay: g += decay * w; v = momentum * v + g; w -= rate * v.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "trainer/resnet_v2.h"

namespace bit::trainer {

// Whether the square of every value is a finite fp32 number: normalization squares them, so beyond
// that no forward pass has a finite loss.
struct Finite {
  bool momentum = true;
  bool weights = true;
};

class SgdMomentum {
 public:
  SgdMomentum(const std::vector<Parameter>& parameters, double momentum, double weight_decay);
  // Reads each parameter's .grad(), which holds the mean gradient of the global batch, and drops
  // it: the next backward pass starts from nothing. Weights change in place. Says what the update
  // left behind.
  Finite step(double learning_rate);
  // fp32, same shapes and order as the parameters, for checkpoints.
  const std::vector<at::Tensor>& momentum_buffers() const { return velocity_; }

 private:
  std::vector<Parameter> parameters_;
  std::vector<at::Tensor> velocity_;
  double momentum_;
  double weight_decay_;
};

}  // namespace bit::trainer
