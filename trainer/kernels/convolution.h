// Convolutions without bias in channels-last memory, each by the way that is fastest here: a 1x1
// convolution is a matrix product over pixels, a larger one over few pixels is a matrix product for
// every position of the kernel, and the rest is oneDNN's.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace bit::trainer::kernels {

// The same in both directions. Padding is with zeros, on all four sides.
struct ConvolutionStep {
  std::int64_t stride = 1, padding = 0;
};

// What a CPU should compute with when activations are `activations`: fp32 also for bf16 where
// oneDNN has no bf16 kernels (x86 without AVX-512), as LibTorch's substitute is some hundred times
// slower.
at::ScalarType convolution_type(at::ScalarType activations);

// x: [N, I, H, W]; kernel: [O, I, K, K] in the type to compute with. The result has the type of x.
at::Tensor convolve(const at::Tensor& x, const at::Tensor& kernel, ConvolutionStep step);

struct ConvolutionGradients {
  at::Tensor dx;       // undefined when it was not asked for; like x
  at::Tensor dkernel;  // like kernel
};
ConvolutionGradients convolve_backward(const at::Tensor& x, const at::Tensor& kernel,
                                       const at::Tensor& dy, ConvolutionStep step, bool needs_dx);

}  // namespace bit::trainer::kernels
