// Weight standardisation of a whole kernel, forward and backward, on the CPU. The masters are
// [rows, inputs, taps] (OIHW); the convolution's kernel and its gradient are [rows, taps, inputs]
// (channels last).
#pragma once

#include <cstdint>

namespace bit::trainer::kernels {

struct KernelShape {
  std::int64_t rows;    // output channels
  std::int64_t inputs;  // input channels
  std::int64_t taps;    // height * width
};

// T is float or c10::BFloat16. mean, inverse_deviation: [rows].
template <typename T>
void standardize_forward(const KernelShape& shape, double epsilon, const float* weight, T* result,
                         float* mean, float* inverse_deviation);

// dweight: [rows, inputs, taps].
template <typename T>
void standardize_backward(const KernelShape& shape, const float* weight, const float* mean,
                          const float* inverse_deviation, const T* dresult, float* dweight);

}  // namespace bit::trainer::kernels
