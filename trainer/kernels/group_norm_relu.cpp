#include "trainer/kernels/group_norm_relu.h"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/kernels/group_norm_relu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "trainer/kernels/vector_io.h"

HWY_BEFORE_NAMESPACE();
namespace bit::trainer::kernels::HWY_NAMESPACE {

// Vectors of channels whose sums are held in registers, and the pixels that are asked for ahead.
constexpr std::int64_t kUnroll = 4;
constexpr std::int64_t kAhead = 8;

// Calls work(c, vectors) for all channels, `vectors` a compile-time number of vectors from c on.
template <typename Work>
void for_each_block(std::int64_t channels, Work work) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(Floats()));
  std::int64_t c = 0;
  for (; c + kUnroll * lanes <= channels; c += kUnroll * lanes) {
    work(c, std::integral_constant<std::int64_t, kUnroll>());
  }
  for (; c < channels; c += lanes) work(c, std::integral_constant<std::int64_t, 1>());
}

// The input of the norm: x, or x + shortcut where there is one, which is stored in sum first.
template <typename T>
struct Input {
  const T* x;
  const T* shortcut = nullptr;
  T* sum = nullptr;
};

template <typename T>
Vector rounded_like(Vector value, const T* /*type*/) {
  T rounded[64 / sizeof(float)];
  store(Floats(), value, rounded);
  return load(Floats(), rounded);
}
inline Vector rounded_like(Vector value, const float* /*type*/) { return value; }

// Per channel of one image: sums[c] = sum(x - shift), squares[c] = sum((x - shift)^2), with the
// image's first pixel as shift: no cancellation, as a value of the distribution is within a few
// deviations of its mean.
template <bool kAdds, typename T>
void shifted_sums(const GroupNormShape& shape, const Input<T>& input, float* sums, float* squares) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for_each_block(shape.channels, [&](std::int64_t c, auto vectors) {
    Vector shift[vectors], sum[vectors], square[vectors];
    std::int64_t at = c;
    const auto value = [&](std::int64_t v) {
      const Vector x = load(d, input.x + at + v * lanes);
      if constexpr (!kAdds) return x;
      return rounded_like(hn::Add(x, load(d, input.shortcut + at + v * lanes)), input.x);
    };
    for (std::int64_t v = 0; v < vectors; ++v) {
      shift[v] = value(v);
      sum[v] = square[v] = hn::Zero(d);
    }
    for (std::int64_t p = 0; p < shape.pixels; ++p, at += shape.channels) {
      hwy::Prefetch(input.x + at + kAhead * shape.channels);
      if constexpr (kAdds) hwy::Prefetch(input.shortcut + at + kAhead * shape.channels);
      for (std::int64_t v = 0; v < vectors; ++v) {
        const Vector x = value(v);
        if constexpr (kAdds) store(d, x, input.sum + at + v * lanes);
        const Vector deviation = hn::Sub(x, shift[v]);
        sum[v] = hn::Add(sum[v], deviation);
        square[v] = hn::MulAdd(deviation, deviation, square[v]);
      }
    }
    for (std::int64_t v = 0; v < vectors; ++v) {
      store(d, sum[v], sums + c + v * lanes);
      store(d, square[v], squares + c + v * lanes);
    }
  });
}

// y = max(0, scale * x + offset).
template <typename T>
void scale_relu(const GroupNormShape& shape, const T* x, const float* scale, const float* offset,
                T* y) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const Vector zero = hn::Zero(d);
  for (std::int64_t p = 0; p < shape.pixels; ++p) {
    for (std::int64_t c = 0; c < shape.channels; c += lanes) {
      const Vector value = hn::MulAdd(load(d, x + c), load(d, scale + c), load(d, offset + c));
      // Written so that what is not a number passes.
      store(d, hn::IfThenElse(hn::Lt(value, zero), zero, value), y + c);
    }
    x += shape.channels;
    y += shape.channels;
  }
}

// Per channel of one image, over the pixels where the result was positive: dbias[c] = sum(dy),
// dscale[c] = sum(dy * (x - mean)).
template <typename T>
void masked_sums(const GroupNormShape& shape, const T* x, const T* dy, const float* scale,
                 const float* offset, const float* mean, float* dbias, float* dscale) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const Vector zero = hn::Zero(d);
  for_each_block(shape.channels, [&](std::int64_t c, auto vectors) {
    Vector sum[vectors], product[vectors];
    for (std::int64_t v = 0; v < vectors; ++v) sum[v] = product[v] = zero;
    for (std::int64_t p = 0, at = c; p < shape.pixels; ++p, at += shape.channels) {
      hwy::Prefetch(x + at + kAhead * shape.channels);
      hwy::Prefetch(dy + at + kAhead * shape.channels);
      for (std::int64_t v = 0; v < vectors; ++v) {
        const std::int64_t o = v * lanes;
        const Vector value = load(d, x + at + o);
        const Vector result = hn::MulAdd(value, load(d, scale + c + o), load(d, offset + c + o));
        const Vector gradient = hn::IfThenElseZero(hn::Gt(result, zero), load(d, dy + at + o));
        sum[v] = hn::Add(sum[v], gradient);
        product[v] = hn::MulAdd(gradient, hn::Sub(value, load(d, mean + c + o)), product[v]);
      }
    }
    for (std::int64_t v = 0; v < vectors; ++v) {
      store(d, sum[v], dbias + c + v * lanes);
      store(d, product[v], dscale + c + v * lanes);
    }
  });
}

// dx = scale * dy (where the result was positive) + slope * x + constant, and + dsum where there is
// one.
template <bool kAdds, typename T>
void input_gradient(const GroupNormShape& shape, const T* x, const T* dy, const T* dsum,
                    const float* scale, const float* offset, const float* slope,
                    const float* constant, T* dx) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const Vector zero = hn::Zero(d);
  for (std::int64_t p = 0; p < shape.pixels; ++p) {
    for (std::int64_t c = 0; c < shape.channels; c += lanes) {
      const Vector value = load(d, x + c);
      const Vector a = load(d, scale + c);
      const auto active = hn::Gt(hn::MulAdd(value, a, load(d, offset + c)), zero);
      const Vector gradient = hn::IfThenElseZero(active, load(d, dy + c));
      Vector line = hn::MulAdd(value, load(d, slope + c), load(d, constant + c));
      if constexpr (kAdds) line = hn::Add(line, load(d, dsum + c));
      store(d, hn::MulAdd(gradient, a, line), dx + c);
    }
    x += shape.channels;
    dy += shape.channels;
    if constexpr (kAdds) dsum += shape.channels;
    dx += shape.channels;
  }
}

// What x is multiplied by and what is added, per channel, for one image's statistics.
void scale_and_offset(const GroupNormShape& shape, const float* weight, const float* bias,
                      const float* mean, const float* inverse_deviation, float* scale,
                      float* offset) {
  const std::int64_t width = shape.channels / shape.groups;
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    const std::int64_t g = c / width;
    scale[c] = weight[c] * inverse_deviation[g];
    offset[c] = bias[c] - mean[g] * scale[c];
  }
}

// Statistics of the groups from the shifted sums of their channels (Chan et al., "Updating formulae
// and a pairwise algorithm for computing sample variances", 1979).
template <typename T>
void group_statistics(const GroupNormShape& shape, double epsilon, const T* shift,
                      const float* sums, const float* squares, float* mean,
                      float* inverse_deviation) {
  const std::int64_t width = shape.channels / shape.groups;
  const auto pixels = static_cast<double>(shape.pixels);
  for (std::int64_t g = 0; g < shape.groups; ++g) {
    double group_mean = 0;
    for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
      group_mean += static_cast<float>(shift[c]) + sums[c] / pixels;
    }
    group_mean /= static_cast<double>(width);
    double deviations = 0;
    for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
      const double from_shift = sums[c] / pixels;
      const double from_mean = static_cast<float>(shift[c]) + from_shift - group_mean;
      deviations += squares[c] - pixels * from_shift * from_shift + pixels * from_mean * from_mean;
    }
    const double variance = deviations / (pixels * static_cast<double>(width));
    mean[g] = static_cast<float>(group_mean);
    // A variance that is not a number stays so; one that rounds below zero is zero.
    inverse_deviation[g] =
        static_cast<float>(1 / std::sqrt((variance < 0 ? 0 : variance) + epsilon));
  }
}

template <typename T>
void forward_image(const GroupNormShape& shape, double epsilon, const Input<T>& input,
                   const float* weight, const float* bias, T* y, float* mean,
                   float* inverse_deviation, float* scratch) {
  float* first = scratch;
  float* second = scratch + shape.channels;
  if (input.shortcut != nullptr) {
    shifted_sums<true>(shape, input, first, second);
  } else {
    shifted_sums<false>(shape, input, first, second);
  }
  const T* x = input.shortcut != nullptr ? input.sum : input.x;
  group_statistics(shape, epsilon, x, first, second, mean, inverse_deviation);
  scale_and_offset(shape, weight, bias, mean, inverse_deviation, first, second);
  scale_relu(shape, x, first, second, y);
}

// dweight and dbias are those of this image alone: [channels].
template <typename T>
void backward_image(const GroupNormShape& shape, const T* x, const T* dy, const T* dsum,
                    const float* weight, const float* bias, const float* mean,
                    const float* inverse_deviation, T* dx, float* dweight, float* dbias,
                    float* scratch) {
  const std::int64_t width = shape.channels / shape.groups;
  float* scale = scratch;
  float* offset = scratch + shape.channels;
  float* channel_mean = scratch + 2 * shape.channels;  // then the slope
  float* constant = scratch + 3 * shape.channels;
  scale_and_offset(shape, weight, bias, mean, inverse_deviation, scale, offset);
  for (std::int64_t c = 0; c < shape.channels; ++c) channel_mean[c] = mean[c / width];
  masked_sums(shape, x, dy, scale, offset, channel_mean, dbias, dweight);

  float* slope = channel_mean;
  const double elements = static_cast<double>(shape.pixels * width);
  for (std::int64_t g = 0; g < shape.groups; ++g) {
    const double deviation = inverse_deviation[g];
    double sum = 0;        // of weight * dy over the group
    double projected = 0;  // of weight * dy * normalised x
    for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
      dweight[c] *= inverse_deviation[g];
      sum += static_cast<double>(weight[c]) * dbias[c];
      projected += static_cast<double>(weight[c]) * dweight[c];
    }
    const double group_slope = -deviation * deviation * projected / elements;
    const double group_constant = -deviation * sum / elements - group_slope * mean[g];
    for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
      slope[c] = static_cast<float>(group_slope);
      constant[c] = static_cast<float>(group_constant);
    }
  }
  if (dsum != nullptr) {
    input_gradient<true>(shape, x, dy, dsum, scale, offset, slope, constant, dx);
  } else {
    input_gradient<false>(shape, x, dy, dsum, scale, offset, slope, constant, dx);
  }
}

// Highway's dispatch tables hold plain functions.
void forward_f32(const GroupNormShape& shape, double epsilon, const float* x, const float* shortcut,
                 float* sum, const float* weight, const float* bias, float* y, float* mean,
                 float* deviation, float* scratch) {
  forward_image(shape, epsilon, {x, shortcut, sum}, weight, bias, y, mean, deviation, scratch);
}
void forward_bf16(const GroupNormShape& shape, double epsilon, const c10::BFloat16* x,
                  const c10::BFloat16* shortcut, c10::BFloat16* sum, const float* weight,
                  const float* bias, c10::BFloat16* y, float* mean, float* deviation,
                  float* scratch) {
  forward_image(shape, epsilon, {x, shortcut, sum}, weight, bias, y, mean, deviation, scratch);
}
void backward_f32(const GroupNormShape& shape, const float* x, const float* dy, const float* dsum,
                  const float* weight, const float* bias, const float* mean, const float* deviation,
                  float* dx, float* dweight, float* dbias, float* scratch) {
  backward_image(shape, x, dy, dsum, weight, bias, mean, deviation, dx, dweight, dbias, scratch);
}
void backward_bf16(const GroupNormShape& shape, const c10::BFloat16* x, const c10::BFloat16* dy,
                   const c10::BFloat16* dsum, const float* weight, const float* bias,
                   const float* mean, const float* deviation, c10::BFloat16* dx, float* dweight,
                   float* dbias, float* scratch) {
  backward_image(shape, x, dy, dsum, weight, bias, mean, deviation, dx, dweight, dbias, scratch);
}

}  // namespace bit::trainer::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bit::trainer::kernels {

HWY_EXPORT(forward_f32);
HWY_EXPORT(forward_bf16);
HWY_EXPORT(backward_f32);
HWY_EXPORT(backward_bf16);

namespace {

template <typename... Args>
void dispatch_forward(float /*T*/, Args... args) {
  HWY_DYNAMIC_DISPATCH(forward_f32)(args...);
}
template <typename... Args>
void dispatch_forward(c10::BFloat16 /*T*/, Args... args) {
  HWY_DYNAMIC_DISPATCH(forward_bf16)(args...);
}
template <typename... Args>
void dispatch_backward(float /*T*/, Args... args) {
  HWY_DYNAMIC_DISPATCH(backward_f32)(args...);
}
template <typename... Args>
void dispatch_backward(c10::BFloat16 /*T*/, Args... args) {
  HWY_DYNAMIC_DISPATCH(backward_bf16)(args...);
}

}  // namespace

template <typename T>
void group_norm_relu_forward(const GroupNormShape& shape, double epsilon, const T* x,
                             const T* shortcut, T* sum, const float* weight, const float* bias,
                             T* y, float* mean, float* inverse_deviation) {
  const std::int64_t image = shape.pixels * shape.channels;
  at::parallel_for(0, shape.images, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scratch(static_cast<std::size_t>(2 * shape.channels));
    const T* none = nullptr;
    for (std::int64_t n = begin; n < end; ++n) {
      dispatch_forward(
          T(), shape, epsilon, x + n * image, shortcut == nullptr ? none : shortcut + n * image,
          shortcut == nullptr ? sum : sum + n * image, weight, bias, y + n * image,
          mean + n * shape.groups, inverse_deviation + n * shape.groups, scratch.data());
    }
  });
}

template <typename T>
void group_norm_relu_backward(const GroupNormShape& shape, const T* x, const T* dy, const T* dsum,
                              const float* weight, const float* bias, const float* mean,
                              const float* inverse_deviation, T* dx, float* dweight, float* dbias) {
  const std::int64_t image = shape.pixels * shape.channels;
  // Gradients of the parameters per image first, so that the order of their sum is fixed.
  std::vector<float> parts(static_cast<std::size_t>(2 * shape.images * shape.channels));
  at::parallel_for(0, shape.images, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scratch(static_cast<std::size_t>(4 * shape.channels));
    const T* none = nullptr;
    for (std::int64_t n = begin; n < end; ++n) {
      float* part = parts.data() + 2 * n * shape.channels;
      dispatch_backward(T(), shape, x + n * image, dy + n * image,
                        dsum == nullptr ? none : dsum + n * image, weight, bias,
                        mean + n * shape.groups, inverse_deviation + n * shape.groups,
                        dx + n * image, part, part + shape.channels, scratch.data());
    }
  });
  std::fill_n(dweight, shape.channels, 0.0F);
  std::fill_n(dbias, shape.channels, 0.0F);
  for (std::int64_t n = 0; n < shape.images; ++n) {
    const float* part = parts.data() + 2 * n * shape.channels;
    for (std::int64_t c = 0; c < shape.channels; ++c) {
      dweight[c] += part[c];
      dbias[c] += part[shape.channels + c];
    }
  }
}

template void group_norm_relu_forward(const GroupNormShape&, double, const float*, const float*,
                                      float*, const float*, const float*, float*, float*, float*);
template void group_norm_relu_backward(const GroupNormShape&, const float*, const float*,
                                       const float*, const float*, const float*, const float*,
                                       const float*, float*, float*, float*);
template void group_norm_relu_forward(const GroupNormShape&, double, const c10::BFloat16*,
                                      const c10::BFloat16*, c10::BFloat16*, const float*,
                                      const float*, c10::BFloat16*, float*, float*);
template void group_norm_relu_backward(const GroupNormShape&, const c10::BFloat16*,
                                       const c10::BFloat16*, const c10::BFloat16*, const float*,
                                       const float*, const float*, const float*, c10::BFloat16*,
                                       float*, float*);

}  // namespace bit::trainer::kernels
#endif  // HWY_ONCE
