// relu(group_norm(x)), with the addition of a shortcut before it, and the gradients on the CPU: one
// sweep for the statistics, one for the result, in channels-last memory. Work is split over images;
// the result does not depend on the number of threads.
#pragma once

#include <cstdint>

namespace bit::trainer::kernels {

struct GroupNormShape {
  std::int64_t images;
  std::int64_t pixels;    // of one image: H * W
  std::int64_t channels;  // a multiple of 32
  std::int64_t groups;    // divides channels
};

// T is float or c10::BFloat16. x, y: [images, pixels, channels]. mean, inverse_deviation: [images,
// groups]. With a `shortcut` (like x, or null) the norm is of `sum` = x + shortcut, which is stored
// on the way, rounded to T; `sum` may be null without.
template <typename T>
void group_norm_relu_forward(const GroupNormShape& shape, double epsilon, const T* x,
                             const T* shortcut, T* sum, const float* weight, const float* bias,
                             T* y, float* mean, float* inverse_deviation);

// x is the norm's input, so `sum` where there was a shortcut. dy, dsum and dx are like x: dx is the
// gradient by way of the norm plus dsum, what arrives at `sum` by other ways (may be null).
// dweight, dbias: [channels].
template <typename T>
void group_norm_relu_backward(const GroupNormShape& shape, const T* x, const T* dy, const T* dsum,
                              const float* weight, const float* bias, const float* mean,
                              const float* inverse_deviation, T* dx, float* dweight, float* dbias);

}  // namespace bit::trainer::kernels
