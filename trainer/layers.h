// The layers of BiT's network. Activations are [N, C, H, W] in channels-last memory, fp32 or bf16;
// weights are fp32.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace bit::trainer {

constexpr double kGroupNormEpsilon = 1e-5;               // google-research/big_transfer
constexpr double kWeightStandardizationEpsilon = 1e-10;  // google-research/big_transfer

// Every output channel of `weight` [O, I, H, W] with mean 0 and variance 1 (biased) over (I, H, W),
// as `dtype` in channels-last memory. Differentiable.
at::Tensor standardize_weight(const at::Tensor& weight, at::ScalarType dtype);

// relu(group_norm(x)): one pass for the statistics of 32 groups, fp32 also for bf16 activations,
// and one for the result. Keeps x and the statistics for the backward pass, not the result.
// Differentiable in all three.
at::Tensor group_norm_relu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// Zeros around the image take part in the maximum, unlike the -inf of a pool's own padding: values
// may be negative here (google-research/big_transfer, issue 74).
at::Tensor zero_pad_max_pool(const at::Tensor& x);

// Convolution with a standardised kernel, without bias.
struct StdConv2d {
  at::Tensor weight;  // [O, I, K, K]
  int stride = 1;
  int padding = 0;

  at::Tensor operator()(const at::Tensor& x) const;
};

struct GroupNormRelu {
  at::Tensor weight;  // [C]
  at::Tensor bias;    // [C]

  at::Tensor operator()(const at::Tensor& x) const { return group_norm_relu(x, weight, bias); }
};

// The same in plain ATen operators: what the kernels are tested against.
namespace reference {
at::Tensor standardize_weight(const at::Tensor& weight, at::ScalarType dtype);
at::Tensor group_norm_relu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
}  // namespace reference

}  // namespace bit::trainer
