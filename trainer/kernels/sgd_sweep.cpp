#include "trainer/kernels/sgd_sweep.h"

#include <c10/util/BFloat16.h>

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/kernels/sgd_sweep.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "trainer/kernels/vector_io.h"

HWY_BEFORE_NAMESPACE();
namespace bit::trainer::kernels::HWY_NAMESPACE {

struct RowStatistics {
  float mean;
  float inverse_deviation;
};

// The mean is given as a sum over the row; then the mean of squared deviations.
RowStatistics row_statistics(const float* row, std::int64_t count, double sum, double epsilon) {
  const Floats d;
  const auto mean = static_cast<float>(sum / static_cast<double>(count));
  const Vector center = hn::Set(d, mean);
  Vector squares = hn::Zero(d);
  for_each_vector(count, [&](std::int64_t i, auto extent) {
    const Vector deviation = keep(d, hn::Sub(load(d, row + i, extent), center), extent);
    squares = hn::MulAdd(deviation, deviation, squares);
  });
  const double variance = sum_of_lanes(squares) / static_cast<double>(count);
  return {mean, static_cast<float>(1 / std::sqrt(variance + epsilon))};
}

double row_sum(const float* row, std::int64_t count) {
  const Floats d;
  Vector sum = hn::Zero(d);
  for_each_vector(
      count, [&](std::int64_t i, auto extent) { sum = hn::Add(sum, load(d, row + i, extent)); });
  return sum_of_lanes(sum);
}

template <typename T>
void write_standardized(const float* row, std::int64_t count, const RowStatistics& statistics,
                        T* to) {
  const Floats d;
  const Vector center = hn::Set(d, statistics.mean);
  const Vector factor = hn::Set(d, statistics.inverse_deviation);
  for_each_vector(count, [&](std::int64_t i, auto extent) {
    const Vector deviation = hn::Sub(load(d, row + i, extent), center);
    store(d, hn::Mul(deviation, factor), to + i, extent);
  });
}

template <typename T>
void standardize_rows(const KernelRows& shape, double epsilon, const float* weight,
                      T* standardized) {
  for (std::int64_t r = 0; r < shape.rows; ++r) {
    const float* row = weight + r * shape.count;
    const RowStatistics statistics =
        row_statistics(row, shape.count, row_sum(row, shape.count), epsilon);
    write_standardized(row, shape.count, statistics, standardized + r * shape.count);
  }
}

// The gradient g of the standardised values becomes that of the weights, with s the standardised
// row and n its length: inverse_deviation * (g - sum(g) / n - s * sum(g * s) / n), which is
// factor * g - (slope * (w - mean) + constant).
struct RowGradient {
  float mean;
  float factor;
  float slope;
  float constant;

  template <typename G, typename Extent>
  Vector at(const float* row, const G* gradient, Extent extent) const {
    const Floats d;
    const Vector deviation = hn::Sub(load(d, row, extent), hn::Set(d, mean));
    const Vector line = hn::MulAdd(deviation, hn::Set(d, slope), hn::Set(d, constant));
    const Vector value = hn::MulSub(load(d, gradient, extent), hn::Set(d, factor), line);
    return keep(d, value, extent);
  }
};

template <typename G>
RowGradient row_gradient(const float* row, const G* gradient, std::int64_t count, double epsilon,
                         double scale) {
  const Floats d;
  const RowStatistics statistics = row_statistics(row, count, row_sum(row, count), epsilon);
  const Vector center = hn::Set(d, statistics.mean);
  Vector sum = hn::Zero(d), product = hn::Zero(d);
  for_each_vector(count, [&](std::int64_t i, auto extent) {
    const Vector g = load(d, gradient + i, extent);
    sum = hn::Add(sum, g);
    product = hn::MulAdd(g, hn::Sub(load(d, row + i, extent), center), product);
  });
  const auto n = static_cast<double>(count);
  const double r = statistics.inverse_deviation;
  return {statistics.mean, static_cast<float>(scale * r),
          static_cast<float>(scale * r * r * r * sum_of_lanes(product) / n),
          static_cast<float>(scale * r * sum_of_lanes(sum) / n)};
}

// The update proper, of a vector of weights whose scaled gradient is known.
struct Update {
  const SgdConstants& sgd;
  Vector gradient_squares = hn::Zero(Floats());
  Vector velocity_squares = hn::Zero(Floats());
  Vector weight_squares = hn::Zero(Floats());
  Vector weight_sum = hn::Zero(Floats());

  template <typename Extent>
  void operator()(Vector gradient, float* weight, float* velocity, Extent extent) {
    const Floats d;
    const Vector w = load(d, weight, extent);
    const Vector g = hn::MulAdd(hn::Set(d, sgd.coupled_decay), w, gradient);
    const Vector v = hn::MulAdd(hn::Set(d, sgd.momentum), load(d, velocity, extent), g);
    const Vector decayed = hn::NegMulAdd(hn::Set(d, sgd.decoupled_decay), w, w);
    const Vector updated = hn::NegMulAdd(hn::Set(d, sgd.learning_rate), v, decayed);
    store(d, v, velocity, extent);
    store(d, updated, weight, extent);
    gradient_squares = hn::MulAdd(gradient, gradient, gradient_squares);
    velocity_squares = hn::MulAdd(v, v, velocity_squares);
    weight_squares = hn::MulAdd(updated, updated, weight_squares);
    weight_sum = hn::Add(weight_sum, updated);
  }

  SquareSums sums() const {
    return {sum_of_lanes(gradient_squares), sum_of_lanes(velocity_squares),
            sum_of_lanes(weight_squares)};
  }
};

template <typename G, typename T>
void update_rows(const KernelRows& shape, double epsilon, const SgdConstants& sgd,
                 const G* gradient, float* weight, float* velocity, T* standardized,
                 SquareSums* sums) {
  for (std::int64_t r = 0; r < shape.rows; ++r) {
    const std::int64_t first = r * shape.count;
    float* row = weight + first;
    const RowGradient row_grad =
        row_gradient(row, gradient + first, shape.count, epsilon, sgd.scale);
    Update update{sgd};
    for_each_vector(shape.count, [&](std::int64_t i, auto extent) {
      update(row_grad.at(row + i, gradient + first + i, extent), row + i, velocity + first + i,
             extent);
    });
    const RowStatistics statistics =
        row_statistics(row, shape.count, sum_of_lanes(update.weight_sum), epsilon);
    write_standardized(row, shape.count, statistics, standardized + first);
    *sums += update.sums();
  }
}

template <typename G>
void square_rows(const KernelRows& shape, double epsilon, const float* weight, const G* gradient,
                 double* sum) {
  const Floats d;
  for (std::int64_t r = 0; r < shape.rows; ++r) {
    const float* row = weight + r * shape.count;
    const G* from = gradient + r * shape.count;
    const RowGradient row_grad = row_gradient(row, from, shape.count, epsilon, 1);
    Vector squares = hn::Zero(d);
    for_each_vector(shape.count, [&](std::int64_t i, auto extent) {
      const Vector value = row_grad.at(row + i, from + i, extent);
      squares = hn::MulAdd(value, value, squares);
    });
    *sum += sum_of_lanes(squares);
  }
}

// Highway's dispatch tables hold plain functions.
void standardize_f32(const KernelRows& shape, double epsilon, const float* weight, float* to) {
  standardize_rows(shape, epsilon, weight, to);
}
void standardize_bf16(const KernelRows& shape, double epsilon, const float* weight,
                      c10::BFloat16* to) {
  standardize_rows(shape, epsilon, weight, to);
}
void update_f32(const KernelRows& shape, double epsilon, const SgdConstants& sgd,
                const float* gradient, float* weight, float* velocity, float* standardized,
                SquareSums* sums) {
  update_rows(shape, epsilon, sgd, gradient, weight, velocity, standardized, sums);
}
void update_bf16(const KernelRows& shape, double epsilon, const SgdConstants& sgd,
                 const c10::BFloat16* gradient, float* weight, float* velocity,
                 c10::BFloat16* standardized, SquareSums* sums) {
  update_rows(shape, epsilon, sgd, gradient, weight, velocity, standardized, sums);
}
void update_mixed(const KernelRows& shape, double epsilon, const SgdConstants& sgd,
                  const float* gradient, float* weight, float* velocity,
                  c10::BFloat16* standardized, SquareSums* sums) {
  update_rows(shape, epsilon, sgd, gradient, weight, velocity, standardized, sums);
}
void squares_f32(const KernelRows& shape, double epsilon, const float* weight,
                 const float* gradient, double* sum) {
  square_rows(shape, epsilon, weight, gradient, sum);
}
void squares_bf16(const KernelRows& shape, double epsilon, const float* weight,
                  const c10::BFloat16* gradient, double* sum) {
  square_rows(shape, epsilon, weight, gradient, sum);
}
void update_values(std::int64_t count, const SgdConstants& sgd, const float* gradient,
                   float* weight, float* velocity, SquareSums* sums) {
  const Floats d;
  const Vector scale = hn::Set(d, sgd.scale);
  Update update{sgd};
  for_each_vector(count, [&](std::int64_t i, auto extent) {
    update(hn::Mul(load(d, gradient + i, extent), scale), weight + i, velocity + i, extent);
  });
  *sums = update.sums();
}
void square_values(std::int64_t count, const float* gradient, double* sum) {
  const Floats d;
  Vector squares = hn::Zero(d);
  for_each_vector(count, [&](std::int64_t i, auto extent) {
    const Vector value = load(d, gradient + i, extent);
    squares = hn::MulAdd(value, value, squares);
  });
  *sum = sum_of_lanes(squares);
}

}  // namespace bit::trainer::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bit::trainer::kernels {

HWY_EXPORT(standardize_f32);
HWY_EXPORT(standardize_bf16);
HWY_EXPORT(update_f32);
HWY_EXPORT(update_bf16);
HWY_EXPORT(update_mixed);
HWY_EXPORT(squares_f32);
HWY_EXPORT(squares_bf16);
HWY_EXPORT(update_values);
HWY_EXPORT(square_values);

SquareSums& SquareSums::operator+=(const SquareSums& other) {
  gradient += other.gradient;
  velocity += other.velocity;
  weight += other.weight;
  return *this;
}

template <>
void standardize(const KernelRows& shape, double epsilon, const float* weight, float* to) {
  HWY_DYNAMIC_DISPATCH(standardize_f32)(shape, epsilon, weight, to);
}
template <>
void standardize(const KernelRows& shape, double epsilon, const float* weight, c10::BFloat16* to) {
  HWY_DYNAMIC_DISPATCH(standardize_bf16)(shape, epsilon, weight, to);
}

template <>
SquareSums update_standardized(const KernelRows& shape, double epsilon, const SgdConstants& sgd,
                               const float* gradient, float* weight, float* velocity,
                               float* standardized) {
  SquareSums sums;
  HWY_DYNAMIC_DISPATCH(update_f32)
  (shape, epsilon, sgd, gradient, weight, velocity, standardized, &sums);
  return sums;
}
template <>
SquareSums update_standardized(const KernelRows& shape, double epsilon, const SgdConstants& sgd,
                               const c10::BFloat16* gradient, float* weight, float* velocity,
                               c10::BFloat16* standardized) {
  SquareSums sums;
  HWY_DYNAMIC_DISPATCH(update_bf16)
  (shape, epsilon, sgd, gradient, weight, velocity, standardized, &sums);
  return sums;
}
template <>
SquareSums update_standardized(const KernelRows& shape, double epsilon, const SgdConstants& sgd,
                               const float* gradient, float* weight, float* velocity,
                               c10::BFloat16* standardized) {
  SquareSums sums;
  HWY_DYNAMIC_DISPATCH(update_mixed)
  (shape, epsilon, sgd, gradient, weight, velocity, standardized, &sums);
  return sums;
}

template <>
double gradient_squares(const KernelRows& shape, double epsilon, const float* weight,
                        const float* gradient) {
  double sum = 0;
  HWY_DYNAMIC_DISPATCH(squares_f32)(shape, epsilon, weight, gradient, &sum);
  return sum;
}
template <>
double gradient_squares(const KernelRows& shape, double epsilon, const float* weight,
                        const c10::BFloat16* gradient) {
  double sum = 0;
  HWY_DYNAMIC_DISPATCH(squares_bf16)(shape, epsilon, weight, gradient, &sum);
  return sum;
}

SquareSums update_plain(std::int64_t count, const SgdConstants& sgd, const float* gradient,
                        float* weight, float* velocity) {
  SquareSums sums;
  HWY_DYNAMIC_DISPATCH(update_values)(count, sgd, gradient, weight, velocity, &sums);
  return sums;
}
double gradient_squares(std::int64_t count, const float* gradient) {
  double sum = 0;
  HWY_DYNAMIC_DISPATCH(square_values)(count, gradient, &sum);
  return sum;
}

}  // namespace bit::trainer::kernels
#endif  // HWY_ONCE
