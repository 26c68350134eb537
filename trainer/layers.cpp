#include "trainer/layers.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "trainer/kernels/convolution.h"
#include "trainer/kernels/group_norm_relu.h"
#include "trainer/kernels/sgd_sweep.h"
#include "trainer/resnet_shape.h"

namespace bit::trainer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

kernels::GroupNormShape group_norm_shape(const at::Tensor& x) {
  return {x.size(0), x.size(2) * x.size(3), x.size(1), kGroups};
}

// Calls `work` with a null pointer of the element type, fp32 or bf16.
template <typename Work>
void for_element_type(const at::Tensor& tensor, Work work) {
  if (tensor.scalar_type() == at::kBFloat16) {
    work(static_cast<const at::BFloat16*>(nullptr));
  } else {
    work(static_cast<const float*>(nullptr));
  }
}

// [2, images, groups]: means, then inverse deviations.
at::Tensor empty_statistics(const at::Tensor& x, const at::Tensor& weight) {
  return at::empty({2, x.size(0), kGroups}, weight.options());
}

// y, and x + shortcut in `sum` where there is a shortcut.
at::Tensor normalize(const at::Tensor& x, const at::Tensor* shortcut, const at::Tensor* sum,
                     const at::Tensor& weight, const at::Tensor& bias,
                     const at::Tensor& statistics) {
  at::Tensor y = at::empty(x.sizes(), x.options(), kChannelsLast);
  float* mean = statistics.mutable_data_ptr<float>();
  for_element_type(x, [&]<typename T>(const T* none) {
    kernels::group_norm_relu_forward(group_norm_shape(x), kGroupNormEpsilon, x.const_data_ptr<T>(),
                                     shortcut == nullptr ? none : shortcut->const_data_ptr<T>(),
                                     sum == nullptr ? nullptr : sum->mutable_data_ptr<T>(),
                                     weight.const_data_ptr<float>(), bias.const_data_ptr<float>(),
                                     y.mutable_data_ptr<T>(), mean, mean + x.size(0) * kGroups);
  });
  return y;
}

// Of x, weight and bias. `dsum` may be undefined.
variable_list normalize_backward(const variable_list& saved, const at::Tensor& dresult,
                                 const at::Tensor& dsum) {
  const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2];
  const float* mean = saved[3].const_data_ptr<float>();
  const at::Tensor dy = dresult.contiguous(kChannelsLast);
  const at::Tensor other = dsum.defined() ? dsum.contiguous(kChannelsLast) : dsum;
  at::Tensor dx = at::empty(x.sizes(), x.options(), kChannelsLast);
  at::Tensor dweight = at::empty_like(weight);
  at::Tensor dbias = at::empty_like(bias);
  for_element_type(x, [&]<typename T>(const T* none) {
    kernels::group_norm_relu_backward(
        group_norm_shape(x), x.const_data_ptr<T>(), dy.const_data_ptr<T>(),
        other.defined() ? other.const_data_ptr<T>() : none, weight.const_data_ptr<float>(),
        bias.const_data_ptr<float>(), mean, mean + x.size(0) * kGroups, dx.mutable_data_ptr<T>(),
        dweight.mutable_data_ptr<float>(), dbias.mutable_data_ptr<float>());
  });
  return {dx, dweight, dbias};
}

struct FusedGroupNormRelu : torch::autograd::Function<FusedGroupNormRelu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const at::Tensor& bias) {
    const at::Tensor x = input.contiguous(kChannelsLast);
    const at::Tensor statistics = empty_statistics(x, weight);
    context->save_for_backward({x, weight, bias, statistics});
    return normalize(x, nullptr, nullptr, weight, bias, statistics);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return normalize_backward(context->get_saved_variables(), gradients[0], at::Tensor());
  }
};

struct FusedAddGroupNormRelu : torch::autograd::Function<FusedAddGroupNormRelu> {
  static variable_list forward(AutogradContext* context, const at::Tensor& branch,
                               const at::Tensor& other, const at::Tensor& weight,
                               const at::Tensor& bias) {
    const at::Tensor x = branch.contiguous(kChannelsLast);
    const at::Tensor shortcut = other.contiguous(kChannelsLast);
    const at::Tensor sum = at::empty(x.sizes(), x.options(), kChannelsLast);
    const at::Tensor statistics = empty_statistics(x, weight);
    const at::Tensor y = normalize(x, &shortcut, &sum, weight, bias, statistics);
    context->save_for_backward({sum, weight, bias, statistics});
    return {y, sum};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const variable_list result = normalize_backward(saved, gradients[0], gradients[1]);
    return {result[0], result[0], result[1], result[2]};
  }
};

struct Convolution : torch::autograd::Function<Convolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& kernel,
                            std::int64_t stride, std::int64_t padding) {
    context->save_for_backward({x, kernel});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    return kernels::convolve(x, kernel, {stride, padding});
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const kernels::ConvolutionStep step = {context->saved_data["stride"].toInt(),
                                           context->saved_data["padding"].toInt()};
    const auto result = kernels::convolve_backward(saved[0], saved[1], gradients[0], step,
                                                   context->needs_input_grad(0));
    return {result.dx, result.dkernel, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

void standardize(const at::Tensor& weight, const at::Tensor& standardized) {
  if (!weight.is_cpu()) {
    standardized.detach().copy_(reference::standardize(weight));
    return;
  }
  const kernels::KernelRows rows{weight.size(0), weight.numel() / weight.size(0)};
  for_element_type(standardized, [&]<typename T>(const T*) {
    const float* from = weight.const_data_ptr<float>();
    // Raw: autograd neither records nor refuses this change of a leaf.
    T* to = static_cast<T*>(standardized.unsafeGetTensorImpl()->mutable_data());
    at::parallel_for(0, rows.rows, 8, [&](std::int64_t begin, std::int64_t end) {
      kernels::standardize({end - begin, rows.count}, kWeightStandardizationEpsilon,
                           from + begin * rows.count, to + begin * rows.count);
    });
  });
}

Preactivation group_norm_relu(const Residual& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!x.branch.is_cpu()) {
    const at::Tensor sum = x.shortcut.defined() ? x.branch + x.shortcut : x.branch;
    return {reference::group_norm_relu(sum, weight, bias), sum};
  }
  if (!x.shortcut.defined()) return {FusedGroupNormRelu::apply(x.branch, weight, bias), x.branch};
  const auto result = FusedAddGroupNormRelu::apply(x.branch, x.shortcut, weight, bias);
  return {result[0], result[1]};
}

at::Tensor zero_pad_max_pool(const at::Tensor& x) {
  return at::max_pool2d(at::constant_pad_nd(x, {1, 1, 1, 1}, 0), {3, 3}, {2, 2});
}

at::Tensor StdConv2d::operator()(const at::Tensor& x) const {
  if (!x.is_cpu()) return at::conv2d(x, kernel, {}, stride, padding);
  return Convolution::apply(x, kernel, static_cast<std::int64_t>(stride),
                            static_cast<std::int64_t>(padding));
}

namespace reference {

at::Tensor standardize(const at::Tensor& weight) {
  const std::vector<std::int64_t> dimensions = {1, 2, 3};
  const at::Tensor mean = weight.mean(dimensions, /*keepdim=*/true);
  const at::Tensor variance = weight.var(dimensions, /*unbiased=*/false, /*keepdim=*/true);
  return (weight - mean) / at::sqrt(variance + kWeightStandardizationEpsilon);
}

at::Tensor group_norm_relu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor normal =
      at::group_norm(x.to(at::kFloat), kGroups, weight, bias, kGroupNormEpsilon);
  return at::relu(normal).to(x.scalar_type());
}

}  // namespace reference
}  // namespace bit::trainer
