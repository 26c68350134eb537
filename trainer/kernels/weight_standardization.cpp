#include "trainer/kernels/weight_standardization.h"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cmath>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/kernels/weight_standardization.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "trainer/kernels/vector_io.h"

HWY_BEFORE_NAMESPACE();
namespace bit::trainer::kernels::HWY_NAMESPACE {

// Mean of the row, then the mean of squared deviations.
void row_statistics(const float* row, std::int64_t count, double epsilon, float* mean,
                    float* inverse_deviation) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  Vector sums = hn::Zero(d);
  double sum = 0;
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) sums = hn::Add(sums, load(d, row + i));
  for (; i < count; ++i) sum += row[i];
  sum += hn::GetLane(hn::SumOfLanes(d, sums));
  *mean = static_cast<float>(sum / static_cast<double>(count));

  const Vector center = hn::Set(d, *mean);
  Vector squares = hn::Zero(d);
  double square = 0;
  for (i = 0; i + lanes <= count; i += lanes) {
    const Vector deviation = hn::Sub(load(d, row + i), center);
    squares = hn::MulAdd(deviation, deviation, squares);
  }
  for (; i < count; ++i) square += (row[i] - *mean) * (row[i] - *mean);
  square += hn::GetLane(hn::SumOfLanes(d, squares));
  *inverse_deviation =
      static_cast<float>(1 / std::sqrt(square / static_cast<double>(count) + epsilon));
}

// to[t][i] = (row[i][t] - mean) * inverse_deviation
template <typename T>
void standardize_row(const KernelShape& shape, double epsilon, const float* row, T* to, float* mean,
                     float* inverse_deviation) {
  const std::int64_t count = shape.inputs * shape.taps;
  row_statistics(row, count, epsilon, mean, inverse_deviation);
  const float center = *mean;
  const float factor = *inverse_deviation;
  if (shape.taps == 1) {
    const Floats d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    std::int64_t i = 0;
    for (; i + lanes <= count; i += lanes) {
      const Vector value = hn::Sub(load(d, row + i), hn::Set(d, center));
      store(d, hn::Mul(value, hn::Set(d, factor)), to + i);
    }
    for (; i < count; ++i) to[i] = static_cast<T>((row[i] - center) * factor);
    return;
  }
  for (std::int64_t t = 0; t < shape.taps; ++t) {
    for (std::int64_t i = 0; i < shape.inputs; ++i) {
      to[t * shape.inputs + i] = static_cast<T>((row[i * shape.taps + t] - center) * factor);
    }
  }
}

// With s the standardised row: to = inverse_deviation * (g - mean(g) - s * mean(g * s)).
template <typename T>
void row_gradient(const KernelShape& shape, const float* row, float mean, float inverse_deviation,
                  const T* from, float* to) {
  const std::int64_t count = shape.inputs * shape.taps;
  for (std::int64_t i = 0; i < shape.inputs; ++i) {  // g into place, in the order of the masters
    for (std::int64_t t = 0; t < shape.taps; ++t) {
      to[i * shape.taps + t] = static_cast<float>(from[t * shape.inputs + i]);
    }
  }
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const Vector center = hn::Set(d, mean);
  Vector sums = hn::Zero(d), products = hn::Zero(d);
  double sum = 0, product = 0;
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const Vector gradient = load(d, to + i);
    sums = hn::Add(sums, gradient);
    products = hn::MulAdd(gradient, hn::Sub(load(d, row + i), center), products);
  }
  for (; i < count; ++i) {
    sum += to[i];
    product += to[i] * (row[i] - mean);
  }
  sum += hn::GetLane(hn::SumOfLanes(d, sums));
  product += hn::GetLane(hn::SumOfLanes(d, products));

  const auto elements = static_cast<double>(count);
  const double factor = inverse_deviation;
  const auto slope = static_cast<float>(factor * factor * factor * product / elements);
  const auto constant = static_cast<float>(factor * sum / elements);
  for (i = 0; i + lanes <= count; i += lanes) {
    const Vector line =
        hn::MulAdd(hn::Sub(load(d, row + i), center), hn::Set(d, slope), hn::Set(d, constant));
    store(d, hn::MulSub(load(d, to + i), hn::Set(d, inverse_deviation), line), to + i);
  }
  for (; i < count; ++i) {
    to[i] = to[i] * inverse_deviation - ((row[i] - mean) * slope + constant);
  }
}

void standardize_row_f32(const KernelShape& shape, double epsilon, const float* row, float* to,
                         float* mean, float* inverse_deviation) {
  standardize_row(shape, epsilon, row, to, mean, inverse_deviation);
}
void standardize_row_bf16(const KernelShape& shape, double epsilon, const float* row,
                          c10::BFloat16* to, float* mean, float* inverse_deviation) {
  standardize_row(shape, epsilon, row, to, mean, inverse_deviation);
}
void row_gradient_f32(const KernelShape& shape, const float* row, float mean,
                      float inverse_deviation, const float* from, float* to) {
  row_gradient(shape, row, mean, inverse_deviation, from, to);
}
void row_gradient_bf16(const KernelShape& shape, const float* row, float mean,
                       float inverse_deviation, const c10::BFloat16* from, float* to) {
  row_gradient(shape, row, mean, inverse_deviation, from, to);
}

}  // namespace bit::trainer::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bit::trainer::kernels {

HWY_EXPORT(standardize_row_f32);
HWY_EXPORT(standardize_row_bf16);
HWY_EXPORT(row_gradient_f32);
HWY_EXPORT(row_gradient_bf16);

namespace {

auto standardize_row_for(float /*T*/) { return HWY_DYNAMIC_DISPATCH(standardize_row_f32); }
auto standardize_row_for(c10::BFloat16 /*T*/) { return HWY_DYNAMIC_DISPATCH(standardize_row_bf16); }
auto row_gradient_for(float /*T*/) { return HWY_DYNAMIC_DISPATCH(row_gradient_f32); }
auto row_gradient_for(c10::BFloat16 /*T*/) { return HWY_DYNAMIC_DISPATCH(row_gradient_bf16); }

std::int64_t rows_per_thread(const KernelShape& shape) {
  return std::max<std::int64_t>(1, (std::int64_t{1} << 14) / (shape.inputs * shape.taps));
}

}  // namespace

template <typename T>
void standardize_forward(const KernelShape& shape, double epsilon, const float* weight, T* result,
                         float* mean, float* inverse_deviation) {
  const std::int64_t count = shape.inputs * shape.taps;
  const auto standardize_row = standardize_row_for(T());
  at::parallel_for(0, shape.rows, rows_per_thread(shape),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) {
                       standardize_row(shape, epsilon, weight + row * count, result + row * count,
                                       mean + row, inverse_deviation + row);
                     }
                   });
}

template <typename T>
void standardize_backward(const KernelShape& shape, const float* weight, const float* mean,
                          const float* inverse_deviation, const T* dresult, float* dweight) {
  const std::int64_t count = shape.inputs * shape.taps;
  const auto row_gradient = row_gradient_for(T());
  at::parallel_for(0, shape.rows, rows_per_thread(shape),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) {
                       row_gradient(shape, weight + row * count, mean[row], inverse_deviation[row],
                                    dresult + row * count, dweight + row * count);
                     }
                   });
}

template void standardize_forward(const KernelShape&, double, const float*, float*, float*, float*);
template void standardize_forward(const KernelShape&, double, const float*, c10::BFloat16*, float*,
                                  float*);
template void standardize_backward(const KernelShape&, const float*, const float*, const float*,
                                   const float*, float*);
template void standardize_backward(const KernelShape&, const float*, const float*, const float*,
                                   const c10::BFloat16*, float*);

}  // namespace bit::trainer::kernels
#endif  // HWY_ONCE
