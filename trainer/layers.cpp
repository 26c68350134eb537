#include "trainer/layers.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "trainer/kernels/convolution.h"
#include "trainer/kernels/group_norm_relu.h"
#include "trainer/kernels/weight_standardization.h"
#include "trainer/resnet_shape.h"

namespace bit::trainer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

kernels::GroupNormShape group_norm_shape(const at::Tensor& x) {
  return {x.size(0), x.size(2) * x.size(3), x.size(1), kGroups};
}

kernels::KernelShape kernel_shape(const at::Tensor& weight) {
  return {weight.size(0), weight.size(1), weight.size(2) * weight.size(3)};
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

struct StandardizeWeight : torch::autograd::Function<StandardizeWeight> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& weight,
                            at::ScalarType dtype) {
    at::Tensor result = at::empty(weight.sizes(), weight.options().dtype(dtype), kChannelsLast);
    at::Tensor statistics = at::empty({2, weight.size(0)}, weight.options());
    float* mean = statistics.mutable_data_ptr<float>();
    for_element_type(result, [&]<typename T>(const T*) {
      kernels::standardize_forward(kernel_shape(weight), kWeightStandardizationEpsilon,
                                   weight.const_data_ptr<float>(), result.mutable_data_ptr<T>(),
                                   mean, mean + weight.size(0));
    });
    context->save_for_backward({weight, statistics});
    return result;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& weight = saved[0];
    const float* mean = saved[1].const_data_ptr<float>();
    const at::Tensor gradient = gradients[0].contiguous(kChannelsLast);
    at::Tensor result = at::empty_like(weight);
    for_element_type(gradient, [&]<typename T>(const T*) {
      kernels::standardize_backward(kernel_shape(weight), weight.const_data_ptr<float>(), mean,
                                    mean + weight.size(0), gradient.const_data_ptr<T>(),
                                    result.mutable_data_ptr<float>());
    });
    return {result, at::Tensor()};
  }
};

struct FusedGroupNormRelu : torch::autograd::Function<FusedGroupNormRelu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& weight, const at::Tensor& bias) {
    const at::Tensor x = input.contiguous(kChannelsLast);
    at::Tensor y = at::empty(x.sizes(), x.options(), kChannelsLast);
    at::Tensor statistics = at::empty({2, x.size(0), kGroups}, weight.options());
    float* mean = statistics.mutable_data_ptr<float>();
    for_element_type(x, [&]<typename T>(const T*) {
      kernels::group_norm_relu_forward(group_norm_shape(x), kGroupNormEpsilon,
                                       x.const_data_ptr<T>(), weight.const_data_ptr<float>(),
                                       bias.const_data_ptr<float>(), y.mutable_data_ptr<T>(), mean,
                                       mean + x.size(0) * kGroups);
    });
    context->save_for_backward({x, weight, bias, statistics});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2];
    const float* mean = saved[3].const_data_ptr<float>();
    const at::Tensor dy = gradients[0].contiguous(kChannelsLast);
    at::Tensor dx = at::empty(x.sizes(), x.options(), kChannelsLast);
    at::Tensor dweight = at::empty_like(weight);
    at::Tensor dbias = at::empty_like(bias);
    for_element_type(x, [&]<typename T>(const T*) {
      kernels::group_norm_relu_backward(
          group_norm_shape(x), x.const_data_ptr<T>(), dy.const_data_ptr<T>(),
          weight.const_data_ptr<float>(), bias.const_data_ptr<float>(), mean,
          mean + x.size(0) * kGroups, dx.mutable_data_ptr<T>(), dweight.mutable_data_ptr<float>(),
          dbias.mutable_data_ptr<float>());
    });
    return {dx, dweight, dbias};
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

at::Tensor standardize_weight(const at::Tensor& weight, at::ScalarType dtype) {
  if (!weight.is_cpu()) return reference::standardize_weight(weight, dtype);
  return StandardizeWeight::apply(weight, dtype);
}

at::Tensor group_norm_relu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!x.is_cpu()) return reference::group_norm_relu(x, weight, bias);
  return FusedGroupNormRelu::apply(x, weight, bias);
}

at::Tensor zero_pad_max_pool(const at::Tensor& x) {
  return at::max_pool2d(at::constant_pad_nd(x, {1, 1, 1, 1}, 0), {3, 3}, {2, 2});
}

at::Tensor StdConv2d::operator()(const at::Tensor& x) const {
  if (!x.is_cpu()) {
    return at::conv2d(x, standardize_weight(weight, x.scalar_type()), {}, stride, padding);
  }
  const at::Tensor kernel = standardize_weight(weight, kernels::convolution_type(x.scalar_type()));
  return Convolution::apply(x, kernel, static_cast<std::int64_t>(stride),
                            static_cast<std::int64_t>(padding));
}

namespace reference {

at::Tensor standardize_weight(const at::Tensor& weight, at::ScalarType dtype) {
  const std::vector<std::int64_t> dimensions = {1, 2, 3};
  const at::Tensor mean = weight.mean(dimensions, /*keepdim=*/true);
  const at::Tensor variance = weight.var(dimensions, /*unbiased=*/false, /*keepdim=*/true);
  return ((weight - mean) / at::sqrt(variance + kWeightStandardizationEpsilon)).to(dtype);
}

at::Tensor group_norm_relu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const at::Tensor normal =
      at::group_norm(x.to(at::kFloat), kGroups, weight, bias, kGroupNormEpsilon);
  return at::relu(normal).to(x.scalar_type());
}

}  // namespace reference
}  // namespace bit::trainer
