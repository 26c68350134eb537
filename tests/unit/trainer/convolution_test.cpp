#include "trainer/kernels/convolution.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "trainer/initialization.h"

namespace bit::trainer::kernels {
namespace {

// Sizes on both sides of every choice of a way to compute.
struct Case {
  std::int64_t images, in, out, size, kernel;
  ConvolutionStep step;
};

std::string name_of(const testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return std::to_string(c.in) + "to" + std::to_string(c.out) + "channels_" +
         std::to_string(c.size) + "pixels_kernel" + std::to_string(c.kernel) + "_stride" +
         std::to_string(c.step.stride) + "_padding" + std::to_string(c.step.padding);
}

at::Tensor normal(std::vector<std::int64_t> shape, std::uint64_t seed) {
  at::Tensor values = at::empty(shape, at::kFloat);
  he_normal(values.view({2, -1, 1, 1}), seed, 0);
  return values.contiguous(at::MemoryFormat::ChannelsLast);
}

double difference(const at::Tensor& value, const at::Tensor& expected) {
  const at::Tensor wanted = expected.to(at::kFloat);
  return ((value.to(at::kFloat) - wanted).norm() / wanted.norm()).item<double>();
}

class ConvolutionKernel : public testing::TestWithParam<Case> {
 protected:
  void expect_agreement(at::ScalarType type, double tolerance) {
    const auto [images, in, out, size, width, step] = GetParam();
    const at::Tensor x = normal({images, in, size, size}, 1).to(type);
    const at::Tensor kernel = normal({out, in, width, width}, 2).to(convolution_type(type));
    const at::Tensor wide_x = x.to(at::kFloat), wide_kernel = kernel.to(at::kFloat);
    const at::Tensor expected = at::conv2d(wide_x, wide_kernel, {}, step.stride, step.padding);
    const at::Tensor dy = normal(expected.sizes().vec(), 3).to(type);

    const at::Tensor y = convolve(x, kernel, step);
    EXPECT_EQ(y.scalar_type(), type);
    ASSERT_EQ(y.sizes(), expected.sizes());
    EXPECT_LT(difference(y, expected), tolerance);

    const auto [dx, dkernel, none] =
        at::convolution_backward(dy.to(at::kFloat), wide_x, wide_kernel, at::OptionalIntArrayRef(),
                                 {step.stride, step.stride}, {step.padding, step.padding}, {1, 1},
                                 false, {0, 0}, 1, std::array<bool, 3>{true, true, false});
    const ConvolutionGradients both = convolve_backward(x, kernel, dy, step, true);
    EXPECT_EQ(both.dx.scalar_type(), type);
    ASSERT_EQ(both.dx.sizes(), x.sizes());
    EXPECT_LT(difference(both.dx, dx), tolerance);
    ASSERT_EQ(both.dkernel.sizes(), kernel.sizes());
    EXPECT_LT(difference(both.dkernel, dkernel), tolerance);

    const ConvolutionGradients one = convolve_backward(x, kernel, dy, step, false);
    EXPECT_FALSE(one.dx.defined());
    EXPECT_LT(difference(one.dkernel, dkernel), tolerance);
  }
};

TEST_P(ConvolutionKernel, agrees_with_conv2d_in_fp32) { expect_agreement(at::kFloat, 1e-5); }

// Inputs are rounded alike on both sides: what is left is the rounding of results.
TEST_P(ConvolutionKernel, agrees_with_conv2d_in_bf16) { expect_agreement(at::kBFloat16, 5e-3); }

INSTANTIATE_TEST_SUITE_P(
    Sizes, ConvolutionKernel,
    testing::Values(Case{2, 3, 64, 16, 7, {2, 3}}, Case{2, 64, 32, 8, 1, {1, 0}},
                    Case{2, 64, 32, 8, 1, {2, 0}}, Case{3, 64, 32, 7, 1, {2, 0}},
                    Case{2, 64, 32, 1, 3, {1, 1}}, Case{2, 64, 32, 1, 3, {2, 1}},
                    Case{3, 64, 32, 2, 3, {1, 1}}, Case{2, 64, 32, 2, 3, {2, 1}},
                    Case{2, 64, 32, 3, 3, {2, 1}}, Case{2, 64, 32, 4, 3, {2, 1}},
                    Case{2, 64, 32, 5, 3, {1, 0}}, Case{2, 32, 64, 8, 3, {1, 1}},
                    Case{2, 32, 64, 15, 3, {2, 1}}, Case{2, 32, 64, 16, 3, {1, 1}},
                    Case{2, 32, 64, 17, 3, {2, 1}}),
    name_of);

}  // namespace
}  // namespace bit::trainer::kernels
