// relu(group_norm(x)) and its gradients on the CPU: one sweep for the statistics, one for the
// result, in channels-last memory. Work is split over images; the result does not depend on the
// number of threads.
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
// groups].
template <typename T>
void group_norm_relu_forward(const GroupNormShape& shape, double epsilon, const T* x,
                             const float* weight, const float* bias, T* y, float* mean,
                             float* inverse_deviation);

// dy and dx like x; dweight, dbias: [channels].
template <typename T>
void group_norm_relu_backward(const GroupNormShape& shape, const T* x, const T* dy,
                              const float* weight, const float* bias, const float* mean,
                              const float* inverse_deviation, T* dx, float* dweight, float* dbias);

}  // namespace bit::trainer::kernels
