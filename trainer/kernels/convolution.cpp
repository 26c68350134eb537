#include "trainer/kernels/convolution.h"

#include <ATen/ATen.h>
#include <hwy/targets.h>

#include <array>
#include <tuple>

namespace bit::trainer::kernels {
namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

bool is_pointwise(const at::Tensor& kernel) { return kernel.size(2) == 1 && kernel.size(3) == 1; }

// The pixels of channels-last memory as rows: a view [N * H * W, C].
at::Tensor rows(const at::Tensor& x) { return x.permute({0, 2, 3, 1}).view({-1, x.size(1)}); }

// Every stride-th pixel in both directions: a view.
at::Tensor strided(const at::Tensor& x, std::int64_t stride) {
  return x.slice(2, 0, x.size(2), stride).slice(3, 0, x.size(3), stride);
}

at::Tensor pointwise(const at::Tensor& input, const at::Tensor& kernel, std::int64_t stride) {
  const at::Tensor x = strided(input, stride).contiguous(kChannelsLast);
  at::Tensor y =
      at::empty({x.size(0), kernel.size(0), x.size(2), x.size(3)}, x.options(), kChannelsLast);
  at::Tensor y_rows = rows(y);
  at::mm_out(y_rows, rows(x), kernel.flatten(1).t());
  return y;
}

ConvolutionGradients pointwise_backward(const at::Tensor& input, const at::Tensor& kernel,
                                        const at::Tensor& dy, std::int64_t stride, bool needs_dx) {
  const at::Tensor x = strided(input, stride).contiguous(kChannelsLast);
  ConvolutionGradients gradients;
  gradients.dkernel = at::mm(rows(dy).t(), rows(x)).view(kernel.sizes());
  if (!needs_dx) return gradients;
  at::Tensor dx = at::empty(x.sizes(), x.options(), kChannelsLast);
  at::Tensor dx_rows = rows(dx);
  at::mm_out(dx_rows, rows(dy), kernel.flatten(1));
  if (stride != 1) {
    const at::Tensor spread = at::zeros(input.sizes(), input.options()).contiguous(kChannelsLast);
    strided(spread, stride).copy_(dx);
    dx = spread;
  }
  gradients.dx = dx;
  return gradients;
}

}  // namespace

at::ScalarType convolution_type(at::ScalarType activations) {
  const bool has_bf16 = (hwy::SupportedTargets() & HWY_AVX3) != 0;
  return activations == at::kBFloat16 && has_bf16 ? at::kBFloat16 : at::kFloat;
}

at::Tensor convolve(const at::Tensor& x, const at::Tensor& kernel, std::int64_t stride,
                    std::int64_t padding) {
  const at::Tensor input = x.to(kernel.scalar_type()).contiguous(kChannelsLast);
  const at::Tensor y = is_pointwise(kernel) ? pointwise(input, kernel, stride)
                                            : at::conv2d(input, kernel, {}, stride, padding);
  return y.to(x.scalar_type());
}

ConvolutionGradients convolve_backward(const at::Tensor& x, const at::Tensor& kernel,
                                       const at::Tensor& dy, std::int64_t stride,
                                       std::int64_t padding, bool needs_dx) {
  const at::Tensor input = x.to(kernel.scalar_type()).contiguous(kChannelsLast);
  const at::Tensor output_gradient = dy.to(kernel.scalar_type()).contiguous(kChannelsLast);
  ConvolutionGradients gradients;
  if (is_pointwise(kernel)) {
    gradients = pointwise_backward(input, kernel, output_gradient, stride, needs_dx);
  } else {
    std::tie(gradients.dx, gradients.dkernel, std::ignore) = at::convolution_backward(
        output_gradient, input, kernel, /*bias_sizes=*/at::OptionalIntArrayRef(), {stride, stride},
        {padding, padding}, /*dilation=*/{1, 1}, /*transposed=*/false, /*output_padding=*/{0, 0},
        /*groups=*/1, std::array<bool, 3>{needs_dx, true, false});
  }
  if (needs_dx) gradients.dx = gradients.dx.to(x.scalar_type());
  return gradients;
}

}  // namespace bit::trainer::kernels
