// The CPU kernels of the network on random shapes and every instruction set of the machine, against
// ATen in fp64: results and gradients, and gradients against differences of the fp64 results.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/support/every_target.h"
#include "trainer/initialization.h"
#include "trainer/kernels/convolution.h"
#include "trainer/layers.h"
#include "trainer/resnet_shape.h"

namespace bit::trainer {
namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
constexpr double kFp32 = 1e-5;  // of the largest element

std::int64_t between(std::int64_t least, std::int64_t most) {
  return *rc::gen::inRange<std::int64_t>(least, most + 1);
}

// Normal numbers, representable in `type`: others for every `part` of a case, so that nothing
// cancels when a case is made small.
at::Tensor normal(at::IntArrayRef shape, at::ScalarType type, std::uint64_t part) {
  at::Tensor values = at::empty(shape, at::kFloat);
  he_normal(values.view({1, -1, 1, 1}), *rc::gen::arbitrary<std::uint64_t>(), part);
  values *= std::sqrt(0.5);  // from variance 2 / 1
  return values.to(type).contiguous(shape.size() == 4 ? kChannelsLast
                                                      : at::MemoryFormat::Contiguous);
}

at::Tensor exact(const at::Tensor& tensor) {
  return tensor.detach().to(at::kDouble).clone().set_requires_grad(true);
}

// Largest error as a share of the largest element.
double error_of(const at::Tensor& value, const at::Tensor& expected) {
  const double largest = expected.abs().max().item<double>();
  return ((value.to(at::kDouble) - expected).abs().max() / (largest + 1e-30)).item<double>();
}

// Largest error in units in the last place of bf16 (8 bits) at the expected value; values below a
// 256th of the typical one count as that, as their error is that of the sums they come from.
double bf16_error_of(const at::Tensor& value, const at::Tensor& expected) {
  const double typical = expected.square().mean().sqrt().item<double>();
  const at::Tensor size = expected.abs().clamp_min(typical / 256 + 1e-30);
  const at::Tensor place = at::exp2(at::floor(at::log2(size)) - 7);
  return ((value.to(at::kDouble) - expected).abs() / place).max().item<double>();
}

void expect_close(const at::Tensor& value, const at::Tensor& expected, const char* what,
                  const char* target) {
  const bool bf16 = value.scalar_type() == at::kBFloat16;
  const double error = bf16 ? bf16_error_of(value, expected) : error_of(value, expected);
  const double limit = bf16 ? 2 : kFp32;
  if (error > limit) RC_FAIL(std::string(what) + " on " + target + ": " + std::to_string(error));
}

// The slope of `function` along `direction`, both fp64.
template <typename Function>
double slope(Function function, const at::Tensor& at, const at::Tensor& direction) {
  const at::NoGradGuard no_grad;
  constexpr double kStep = 1e-6;
  return (function(at + kStep * direction) - function(at - kStep * direction)) / (2 * kStep);
}

at::Tensor exact_group_norm_relu(const at::Tensor& x, const at::Tensor& weight,
                                 const at::Tensor& bias) {
  return at::relu(at::group_norm(x, kGroups, weight, bias, kGroupNormEpsilon));
}

struct NormCase {
  at::Tensor x, shortcut, weight, bias, dy, dsum;
};

// Groups of 9 values at least: the norm of two values is 1 and -1 whatever they are, and its
// gradient what a cancellation leaves.
NormCase norm_case(at::ScalarType type) {
  const std::vector<std::int64_t> shape = {between(1, 3), 32 * between(1, 5), between(3, 7),
                                           between(3, 7)};
  NormCase c;
  c.x = normal(shape, type, 1) + static_cast<double>(between(-3, 3));
  c.shortcut = normal(shape, type, 2);
  c.weight = 1 + 0.3 * normal({shape[1]}, at::kFloat, 3);
  c.bias = 0.3 * normal({shape[1]}, at::kFloat, 4);
  c.dy = normal(shape, type, 5);
  c.dsum = normal(shape, type, 6);
  return c;
}

void check_norm(const NormCase& c, const char* target) {
  const auto leaf = [](const at::Tensor& t) { return t.detach().clone().set_requires_grad(true); };
  const at::Tensor x = leaf(c.x), shortcut = leaf(c.shortcut);
  const at::Tensor weight = leaf(c.weight), bias = leaf(c.bias);
  const Preactivation result = group_norm_relu({x, shortcut}, weight, bias);
  at::Tensor loss = (result.activated.to(at::kDouble) * c.dy).sum();
  loss = loss + (result.sum.to(at::kDouble) * c.dsum).sum();
  loss.backward();

  // From the sum as it was rounded on.
  RC_ASSERT(
      at::equal(result.sum, (c.x.to(at::kFloat) + c.shortcut.to(at::kFloat)).to(x.scalar_type())));
  const at::Tensor sum = exact(result.sum), w = exact(c.weight), b = exact(c.bias);
  const at::Tensor y = exact_group_norm_relu(sum, w, b);
  // At ReLU's kink the last bit decides whether a gradient passes.
  const at::Tensor before = at::group_norm(sum, kGroups, w, b, kGroupNormEpsilon);
  RC_PRE(before.abs().min().item<double>() > 3e-6);
  ((y * c.dy).sum() + (sum * c.dsum).sum()).backward();
  expect_close(result.activated, y, "y", target);
  expect_close(x.grad(), sum.grad(), "dx", target);
  RC_ASSERT(at::equal(x.grad(), shortcut.grad()));
  RC_ASSERT(error_of(weight.grad(), w.grad()) < 1e-4);  // sums over pixels, of either sign
  RC_ASSERT(error_of(bias.grad(), b.grad()) < 1e-4);
}

RC_GTEST_PROP(GroupNormRelu, with_a_shortcut_is_that_of_fp64_in_fp32, ()) {
  const NormCase c = norm_case(at::kFloat);
  test::on_every_target([&](const char* target) { check_norm(c, target); });
}

RC_GTEST_PROP(GroupNormRelu, with_a_shortcut_is_that_of_fp64_in_bf16, ()) {
  const NormCase c = norm_case(at::kBFloat16);
  test::on_every_target([&](const char* target) { check_norm(c, target); });
}

RC_GTEST_PROP(GroupNormRelu, has_the_slopes_of_its_result, ()) {
  const NormCase c = norm_case(at::kFloat);
  const at::Tensor x = c.x.detach().clone().set_requires_grad(true);
  const at::Tensor weight = c.weight.detach().clone().set_requires_grad(true);
  group_norm_relu({x, {}}, weight, c.bias).activated.backward(c.dy);
  const at::Tensor w = c.weight.to(at::kDouble), b = c.bias.to(at::kDouble);
  const at::Tensor dy = c.dy.to(at::kDouble), direction = c.dsum.to(at::kDouble);
  const auto of_x = [&](const at::Tensor& at) {
    return (exact_group_norm_relu(at, w, b) * dy).sum().item<double>();
  };
  const auto of_weight = [&](const at::Tensor& at) {
    return (exact_group_norm_relu(c.x.to(at::kDouble), at, b) * dy).sum().item<double>();
  };
  const auto along = [](const at::Tensor& gradient, const at::Tensor& d) {
    return (gradient.to(at::kDouble) * d).sum().item<double>();
  };
  // A pixel at ReLU's kink has no slope: its share of the sum bounds what it can be off.
  const double scale = (x.grad().to(at::kDouble) * direction).norm().item<double>() + 1e-3;
  RC_ASSERT(std::abs(slope(of_x, c.x.to(at::kDouble), direction) - along(x.grad(), direction)) <
            1e-3 * scale * std::sqrt(static_cast<double>(x.numel())));
  const at::Tensor turn = normal({w.size(0)}, at::kFloat, 7).to(at::kDouble);
  const double expected = slope(of_weight, w, turn);
  const double size = (weight.grad().to(at::kDouble) * turn).norm().item<double>() + 1e-3;
  RC_ASSERT(std::abs(expected - along(weight.grad(), turn)) <
            1e-3 * size * std::sqrt(turn.numel()));
}

struct ConvolutionCase {
  at::Tensor x, kernel, dy;
  kernels::ConvolutionStep step;
};

// Every kernel of the network: 1x1 and 3x3 of strides 1 and 2, and the stem's.
ConvolutionCase convolution_case(at::ScalarType type) {
  const std::int64_t width = *rc::gen::element<std::int64_t>(1, 3, 3, 3, 7);
  const std::int64_t stride = width == 7 ? 2 : between(1, 2);
  const std::int64_t in = width == 7 ? 3 : 16 * between(1, 4), out = 32 * between(1, 3);
  const std::int64_t height = between(1, 13), length = between(1, 13);
  ConvolutionCase c;
  c.step = {stride, width / 2};
  c.x = normal({between(1, 3), in, height, length}, type, 8);
  c.kernel = normal({out, in, width, width}, type, 9).to(kernels::convolution_type(type));
  c.dy = normal({c.x.size(0), out, (height - 1) / stride + 1, (length - 1) / stride + 1}, type, 10);
  return c;
}

void check_convolution(const ConvolutionCase& c, const char* target) {
  const at::Tensor x = exact(c.x), kernel = exact(c.kernel);
  const at::Tensor y = at::conv2d(x, kernel, {}, c.step.stride, c.step.padding);
  y.backward(c.dy.to(at::kDouble));
  expect_close(kernels::convolve(c.x, c.kernel, c.step), y, "y", target);
  const auto gradients = kernels::convolve_backward(c.x, c.kernel, c.dy, c.step, true);
  expect_close(gradients.dx, x.grad(), "dx", target);
  expect_close(gradients.dkernel, kernel.grad(), "dkernel", target);
}

RC_GTEST_PROP(Convolution, is_that_of_fp64_in_fp32, ()) {
  const ConvolutionCase c = convolution_case(at::kFloat);
  test::on_every_target([&](const char* target) { check_convolution(c, target); });
}

RC_GTEST_PROP(Convolution, is_that_of_fp64_in_bf16, ()) {
  const ConvolutionCase c = convolution_case(at::kBFloat16);
  test::on_every_target([&](const char* target) { check_convolution(c, target); });
}

}  // namespace
}  // namespace bit::trainer
