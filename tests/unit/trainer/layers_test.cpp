#include "trainer/layers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "trainer/initialization.h"

namespace bit::trainer {
namespace {

// Normal numbers in any shape, the same everywhere.
at::Tensor normal(std::vector<std::int64_t> shape, std::uint64_t seed) {
  at::Tensor values = at::empty(shape, at::kFloat);
  he_normal(values.view({2, -1, 1, 1}), seed, 0);  // variance 2 / 2
  return values;
}

double difference(const at::Tensor& value, const at::Tensor& expected) {
  const at::Tensor wanted = expected.to(at::kFloat);
  return ((value.to(at::kFloat) - wanted).norm() / wanted.norm()).item<double>();
}

struct GroupNormCase {
  at::Tensor x, weight, bias, dy;
};

GroupNormCase group_norm_case(std::vector<std::int64_t> shape, at::ScalarType type) {
  auto image = [&](std::uint64_t seed) {
    return normal(shape, seed).to(type).contiguous(at::MemoryFormat::ChannelsLast);
  };
  const std::int64_t channels = shape[1];
  return {image(1).set_requires_grad(true),
          (1 + 0.3 * normal({channels}, 2)).set_requires_grad(true),
          (0.3 * normal({channels}, 3)).set_requires_grad(true), image(4)};
}

GroupNormCase detached(const GroupNormCase& c) {
  auto copy = [](const at::Tensor& t) {
    return t.detach().to(at::kFloat).clone().set_requires_grad(true);
  };
  return {copy(c.x), copy(c.weight), copy(c.bias), c.dy.to(at::kFloat)};
}

at::Tensor activated(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return group_norm_relu({x, {}}, weight, bias).activated;
}

class GroupNormRelu : public testing::TestWithParam<std::vector<std::int64_t>> {};

TEST_P(GroupNormRelu, agrees_with_plain_operators_in_fp32) {
  const GroupNormCase c = group_norm_case(GetParam(), at::kFloat);
  const GroupNormCase r = detached(c);
  const at::Tensor y = activated(c.x, c.weight, c.bias);
  const at::Tensor expected = reference::group_norm_relu(r.x, r.weight, r.bias);
  y.backward(c.dy);
  expected.backward(r.dy);
  EXPECT_LT(difference(y, expected), 1e-6);
  EXPECT_LT(difference(c.x.grad(), r.x.grad()), 1e-5);
  EXPECT_LT(difference(c.weight.grad(), r.weight.grad()), 1e-5);
  EXPECT_LT(difference(c.bias.grad(), r.bias.grad()), 1e-5);
}

TEST_P(GroupNormRelu, keeps_fp32_statistics_for_bf16_activations) {
  const GroupNormCase c = group_norm_case(GetParam(), at::kBFloat16);
  const GroupNormCase r = detached(c);
  const at::Tensor y = activated(c.x, c.weight, c.bias);
  const at::Tensor expected = reference::group_norm_relu(r.x, r.weight, r.bias);
  y.backward(c.dy);
  expected.backward(r.dy);
  ASSERT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_LT(difference(y, expected), 4e-3);  // one rounding to 8 bits
  EXPECT_LT(difference(c.x.grad(), r.x.grad()), 4e-3);
  EXPECT_LT(difference(c.weight.grad(), r.weight.grad()), 1e-4);  // no rounding at all
  EXPECT_LT(difference(c.bias.grad(), r.bias.grad()), 1e-4);
}

// Both results are used, as in a network: the sum goes on as the next shortcut.
TEST_P(GroupNormRelu, adds_the_shortcut_as_plain_operators_do) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const GroupNormCase c = group_norm_case(GetParam(), type);
    const GroupNormCase r = detached(c);
    const at::Tensor shortcut =
        group_norm_case(GetParam(), type).dy.flip(0).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor other = shortcut.detach().clone().set_requires_grad(true);
    const at::Tensor plain = shortcut.to(at::kFloat).clone().set_requires_grad(true);
    const at::Tensor dsum = 0.5 * c.dy;

    const Preactivation result = group_norm_relu({c.x, other}, c.weight, c.bias);
    // Rounded as the network keeps it, which decides where the result is positive.
    const at::Tensor exact = r.x + plain;
    const at::Tensor sum = exact + (result.sum.to(at::kFloat) - exact).detach();
    EXPECT_TRUE(at::equal(result.sum, exact.to(type)));
    const at::Tensor expected = reference::group_norm_relu(sum, r.weight, r.bias);
    ((result.activated * c.dy).sum(at::kFloat) + (result.sum * dsum).sum(at::kFloat)).backward();
    ((expected * r.dy).sum() + (sum * dsum.to(at::kFloat)).sum()).backward();
    const double tolerance = type == at::kFloat ? 1e-5 : 6e-3;
    EXPECT_LT(difference(result.activated, expected), tolerance);
    EXPECT_LT(difference(c.x.grad(), r.x.grad()), tolerance);
    EXPECT_TRUE(at::equal(c.x.grad(), other.grad()));
    EXPECT_LT(difference(c.weight.grad(), r.weight.grad()), tolerance);
    EXPECT_LT(difference(c.bias.grad(), r.bias.grad()), tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, GroupNormRelu,
                         testing::Values(std::vector<std::int64_t>{2, 32, 5, 3},
                                         std::vector<std::int64_t>{1, 64, 1, 2},
                                         std::vector<std::int64_t>{3, 256, 8, 8},
                                         std::vector<std::int64_t>{2, 2048, 2, 2}));

TEST(GroupNorm, is_stable_far_from_zero) {
  at::Tensor x = (normal({2, 64, 16, 16}, 5) + 1000).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor y = activated(x, at::ones({64}), at::zeros({64}));
  const at::Tensor expected = reference::group_norm_relu((x.to(at::kDouble) - 1000).to(at::kFloat),
                                                         at::ones({64}), at::zeros({64}));
  EXPECT_LT(difference(y, expected), 1e-3);  // x itself has a step of 6e-5
}

TEST(GroupNorm, of_a_constant_image_is_the_bias) {
  const at::Tensor x = at::full({1, 32, 4, 4}, 3.0F).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor y = activated(x, at::ones({32}), at::full({32}, 0.25F));
  EXPECT_TRUE(at::allclose(y, at::full({1, 32, 4, 4}, 0.25F), 0, 1e-4));
}

TEST(GroupNorm, does_not_hide_what_is_not_a_number) {
  at::Tensor x = normal({1, 32, 4, 4}, 6).contiguous(at::MemoryFormat::ChannelsLast);
  x[0][7][1][1] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor y = activated(x, at::ones({32}), at::zeros({32}));
  EXPECT_TRUE(at::isnan(y[0][7]).all().item<bool>());
  EXPECT_FALSE(at::isnan(y[0][6]).any().item<bool>());
}

TEST(GroupNorm, does_not_depend_on_the_memory_format_or_the_number_of_threads) {
  const GroupNormCase c = group_norm_case({5, 64, 6, 6}, at::kFloat);
  const at::Tensor y = activated(c.x, c.weight, c.bias);
  y.backward(c.dy);
  const at::Tensor gradient = c.weight.grad().clone();
  const int threads = at::get_num_threads();
  at::set_num_threads(3);
  c.weight.mutable_grad() = at::Tensor();
  const at::Tensor again = activated(c.x.detach().contiguous(), c.weight, c.bias);
  again.backward(c.dy.contiguous());
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(y, again));
  EXPECT_TRUE(at::equal(gradient, c.weight.grad()));
}

// In the memory order that the network uses.
at::Tensor standardized(const at::Tensor& weight, at::ScalarType type) {
  const at::Tensor from = weight.contiguous(at::MemoryFormat::ChannelsLast);
  at::Tensor result = at::empty_like(from, from.options().dtype(type));
  standardize(from, result);
  return result;
}

class WeightStandardization : public testing::TestWithParam<std::vector<std::int64_t>> {};

TEST_P(WeightStandardization, gives_every_output_channel_mean_0_and_variance_1) {
  const at::Tensor result = standardized(0.05 * normal(GetParam(), 7) + 0.2, at::kFloat);
  const at::Tensor rows = result.contiguous().flatten(1);
  EXPECT_LT(rows.mean(1).abs().max().item<double>(), 1e-6);
  EXPECT_LT((rows.var(1, /*unbiased=*/false) - 1).abs().max().item<double>(), 1e-5);
}

TEST_P(WeightStandardization, agrees_with_plain_operators) {
  const at::Tensor weight = 0.05 * normal(GetParam(), 8);
  EXPECT_LT(difference(standardized(weight, at::kFloat), reference::standardize(weight)), 1e-6);
}

TEST_P(WeightStandardization, rounds_once_to_bf16) {
  const at::Tensor weight = 0.05 * normal(GetParam(), 10);
  const at::Tensor exact = standardized(weight, at::kFloat);
  EXPECT_TRUE(at::equal(standardized(weight, at::kBFloat16), exact.to(at::kBFloat16)));
}

INSTANTIATE_TEST_SUITE_P(Shapes, WeightStandardization,
                         testing::Values(std::vector<std::int64_t>{32, 3, 7, 7},
                                         std::vector<std::int64_t>{64, 32, 1, 1},
                                         std::vector<std::int64_t>{4, 5, 3, 3},
                                         std::vector<std::int64_t>{128, 128, 3, 3}));

TEST(WeightStandardizationEdge, of_a_constant_kernel_is_zero) {
  const at::Tensor result = standardized(at::full({2, 4, 1, 1}, 0.5F), at::kFloat);
  EXPECT_TRUE(at::equal(result, at::zeros({2, 4, 1, 1})));
}

struct ConvolutionCase {
  std::int64_t in, out, kernel;
  int stride;
  std::int64_t height, width;
};

class Convolution : public testing::TestWithParam<ConvolutionCase> {};

TEST_P(Convolution, agrees_with_plain_operators) {
  const ConvolutionCase& c = GetParam();
  const int padding = static_cast<int>(c.kernel / 2);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor image = normal({2, c.in, c.height, c.width}, 12).to(type);
    const at::Tensor x =
        image.contiguous(at::MemoryFormat::ChannelsLast).clone().set_requires_grad(true);
    const at::Tensor x_plain = image.to(at::kFloat).clone().set_requires_grad(true);
    const at::Tensor kernel = standardized(normal({c.out, c.in, c.kernel, c.kernel}, 13), type);
    const at::Tensor leaf = kernel.clone().set_requires_grad(true);
    const at::Tensor plain = kernel.to(at::kFloat).set_requires_grad(true);
    const at::Tensor y = StdConv2d{leaf, c.stride, padding}(x);
    const at::Tensor expected = at::conv2d(x_plain, plain, {}, c.stride, padding);
    ASSERT_EQ(y.sizes(), expected.sizes());
    ASSERT_EQ(y.scalar_type(), type);
    const at::Tensor dy = normal(y.sizes().vec(), 14).to(type);
    y.backward(dy);
    expected.backward(dy.to(at::kFloat));
    const double tolerance = type == at::kFloat ? 1e-5 : 1e-2;
    EXPECT_LT(difference(y, expected), tolerance);
    EXPECT_LT(difference(x.grad(), x_plain.grad()), tolerance);
    EXPECT_LT(difference(leaf.grad(), plain.grad()), tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Convolution,
    testing::Values(ConvolutionCase{32, 64, 1, 1, 4, 4}, ConvolutionCase{32, 64, 1, 2, 7, 6},
                    ConvolutionCase{64, 32, 1, 2, 1, 1}, ConvolutionCase{32, 32, 3, 1, 5, 4},
                    ConvolutionCase{32, 64, 3, 2, 7, 6}, ConvolutionCase{3, 32, 7, 2, 15, 17}));

TEST(ZeroPadMaxPool, lets_the_padding_win_over_negative_values) {
  const at::Tensor y = zero_pad_max_pool(at::full({1, 32, 6, 6}, -2.0F));
  ASSERT_EQ(y.sizes(), at::IntArrayRef({1, 32, 3, 3}));
  EXPECT_EQ(y[0][0][0][0].item<float>(), 0);
  EXPECT_EQ(y[0][0][0][1].item<float>(), 0);
  EXPECT_EQ(y[0][0][1][1].item<float>(), -2);
}

}  // namespace
}  // namespace bit::trainer
