// The layers of BiT's network. Activations are [N, C, H, W] in channels-last memory, fp32 or bf16;
// weights are fp32.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace bit::trainer {

constexpr double kGroupNormEpsilon = 1e-5;               // google-research/big_transfer
constexpr double kWeightStandardizationEpsilon = 1e-10;  // google-research/big_transfer

// Every output channel of `weight` [O, I, H, W], fp32, with mean 0 and variance 1 (biased) over
// (I, H, W), into `standardized`, which has the same strides and may be bf16. Not differentiable:
// the optimizer turns the gradient of the result into that of the weight.
void standardize(const at::Tensor& weight, const at::Tensor& standardized);

// A branch and the shortcut that will be added to it; the shortcut may be undefined.
struct Residual {
  at::Tensor branch, shortcut;
};

struct Preactivation {
  at::Tensor activated;  // relu(group_norm(sum))
  at::Tensor sum;        // branch + shortcut
};

// One pass for the sum and its statistics of 32 groups, fp32 also for bf16 activations, and one for
// the result. Keeps the sum and the statistics for the backward pass, not the result.
// Differentiable in all four.
Preactivation group_norm_relu(const Residual& x, const at::Tensor& weight, const at::Tensor& bias);

// Zeros around the image take part in the maximum, unlike the -inf of a pool's own padding: values
// may be negative here (google-research/big_transfer, issue 74).
at::Tensor zero_pad_max_pool(const at::Tensor& x);

// Convolution with a standardised kernel, without bias.
struct StdConv2d {
  at::Tensor kernel;  // [O, I, K, K], standardised: a leaf of autograd
  int stride = 1;
  int padding = 0;

  at::Tensor operator()(const at::Tensor& x) const;
};

struct GroupNormRelu {
  at::Tensor weight;  // [C]
  at::Tensor bias;    // [C]

  Preactivation operator()(const Residual& x) const { return group_norm_relu(x, weight, bias); }
  at::Tensor operator()(const at::Tensor& x) const { return (*this)(Residual{x, {}}).activated; }
};

// The same in plain ATen operators: what the kernels are tested against, and what other devices
// use.
namespace reference {
// Differentiable.
at::Tensor standardize(const at::Tensor& weight);
at::Tensor group_norm_relu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
}  // namespace reference

}  // namespace bit::trainer
