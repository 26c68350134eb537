// The update of weights in one sweep. For a kernel whose standardised values are what the network
// computes with: gradient through the standardisation, decay, momentum, update and the next
// standardised values, row by row in the cache. Single-threaded ranges; the optimizer divides the
// work.
#pragma once

#include <cstdint>

namespace bit::trainer::kernels {

// Rows of `count` weights each, one after another: a row is standardised to mean 0 and biased
// variance 1.
struct KernelRows {
  std::int64_t rows;   // output channels
  std::int64_t count;  // taps * input channels, in the order of the convolution's kernel
};

// With g the gradient times `scale`: v = momentum * v + g + coupled_decay * w, then
// w -= learning_rate * v + decoupled_decay * w.
struct SgdConstants {
  float scale = 1;
  float learning_rate = 0;
  float momentum = 0;
  float coupled_decay = 0;
  float decoupled_decay = 0;
};

// Sums of squares. fp32 inside: not finite once a value's square is not.
struct SquareSums {
  double gradient = 0;  // times scale; of the weights, not of what was standardised
  double velocity = 0;  // after the update
  double weight = 0;    // after the update
  SquareSums& operator+=(const SquareSums& other);
};

// T, the standardised values, and G, their gradients, are each float or c10::BFloat16; float and
// BFloat16 together only as fp32 gradients of bf16 values.
template <typename T>
void standardize(const KernelRows& shape, double epsilon, const float* weight, T* standardized);

template <typename G, typename T>
SquareSums update_standardized(const KernelRows& shape, double epsilon, const SgdConstants& sgd,
                               const G* gradient, float* weight, float* velocity, T* standardized);
// Sum of squares of the weights' gradient, unscaled; changes nothing.
template <typename G>
double gradient_squares(const KernelRows& shape, double epsilon, const float* weight,
                        const G* gradient);

// The same for weights that are used as they are.
SquareSums update_plain(std::int64_t count, const SgdConstants& sgd, const float* gradient,
                        float* weight, float* velocity);
double gradient_squares(std::int64_t count, const float* gradient);

}  // namespace bit::trainer::kernels
