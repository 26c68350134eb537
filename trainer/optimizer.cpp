#include "trainer/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <atomic>
#include <cmath>
#include <stdexcept>

namespace bit::trainer {
namespace {

constexpr std::int64_t kGrain = 1 << 15;  // elements a thread takes at least

struct SgdConstants {
  float learning_rate;
  float momentum;
  float decay;
};

// One pass over one tensor: 12 bytes read and 8 written an element, so memory sets the speed, and
// the check of the values comes free.
Finite update(float* __restrict weight, const float* __restrict gradient,
              float* __restrict velocity, std::int64_t count, const SgdConstants& c) {
  // Sums of zeros, unless a square is infinite or no number.
  float weights = 0;
  float momentum = 0;
#pragma omp simd reduction(+ : weights, momentum)
  for (std::int64_t i = 0; i < count; ++i) {
    velocity[i] = c.momentum * velocity[i] + (gradient[i] + c.decay * weight[i]);
    weight[i] -= c.learning_rate * velocity[i];
    momentum += velocity[i] * velocity[i] * 0.0F;
    weights += weight[i] * weight[i] * 0.0F;
  }
  return {std::isfinite(momentum), std::isfinite(weights)};
}

}  // namespace

SgdMomentum::SgdMomentum(const std::vector<Parameter>& parameters, double momentum,
                         double weight_decay)
    : parameters_(parameters), momentum_(momentum), weight_decay_(weight_decay) {
  velocity_.reserve(parameters_.size());
  for (const Parameter& parameter : parameters_) {
    velocity_.push_back(at::zeros_like(parameter.value.detach()));
  }
}

Finite SgdMomentum::step(double learning_rate) {
  std::atomic<bool> momentum_finite = true;
  std::atomic<bool> weights_finite = true;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = parameters_[i];
    const at::Tensor& gradient_tensor = parameter.value.grad();
    if (!gradient_tensor.defined()) {
      throw std::logic_error("optimizer: " + parameter.name + " has no gradient");
    }
    const at::Tensor gradient = gradient_tensor.contiguous();
    const SgdConstants constants{static_cast<float>(learning_rate), static_cast<float>(momentum_),
                                 parameter.decay ? static_cast<float>(weight_decay_) : 0.0F};
    // Raw pointers: autograd neither records nor refuses this change of a leaf.
    float* weight = static_cast<float*>(parameter.value.unsafeGetTensorImpl()->mutable_data());
    float* velocity = velocity_[i].mutable_data_ptr<float>();
    const float* grad = gradient.const_data_ptr<float>();
    at::parallel_for(0, gradient.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      const Finite finite =
          update(weight + begin, grad + begin, velocity + begin, end - begin, constants);
      if (!finite.momentum) momentum_finite = false;
      if (!finite.weights) weights_finite = false;
    });
    parameter.value.mutable_grad() = at::Tensor();
  }
  return {momentum_finite, weights_finite};
}

}  // namespace bit::trainer
