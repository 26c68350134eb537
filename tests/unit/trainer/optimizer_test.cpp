#include "trainer/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <stdexcept>

#include "tests/support/every_target.h"
#include "trainer/initialization.h"
#include "trainer/layers.h"

namespace bit::trainer {
namespace {

Parameter leaf(const std::string& name, std::vector<float> values, bool decay) {
  return {name, at::tensor(values).set_requires_grad(true), decay};
}

std::vector<float> values_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

TEST(SgdMomentum, follows_the_formula_over_two_steps) {
  std::vector<Parameter> parameters = {leaf("kernel", {1, -2}, true)};
  SgdMomentum optimizer(parameters, {.momentum = 0.5, .weight_decay = 0.25});
  parameters[0].value.mutable_grad() = at::tensor({0.5F, 1.0F});
  optimizer.step(0.125);
  // v = g + decay * w = {0.75, 0.5}; w -= 0.125 v
  EXPECT_EQ(values_of(parameters[0].value), (std::vector<float>{0.90625F, -2.0625F}));
  parameters[0].value.mutable_grad() = at::tensor({1.0F, 0.0F});
  optimizer.step(0.5);
  // v = 0.5 * {0.75, 0.5} + {1, 0} + 0.25 * {0.90625, -2.0625} = {1.6015625, -0.265625}
  EXPECT_EQ(values_of(optimizer.momentum_buffers()[0]),
            (std::vector<float>{1.6015625F, -0.265625F}));
  EXPECT_EQ(values_of(parameters[0].value), (std::vector<float>{0.10546875F, -1.9296875F}));
}

TEST(SgdMomentum, decays_only_what_is_marked) {
  std::vector<Parameter> parameters = {leaf("kernel", {1}, true), leaf("norm", {1}, false)};
  SgdMomentum optimizer(parameters, {.momentum = 0.9, .weight_decay = 0.5});
  for (Parameter& parameter : parameters) parameter.value.mutable_grad() = at::zeros({1});
  optimizer.step(1);
  EXPECT_EQ(values_of(parameters[0].value), std::vector<float>{0.5F});
  EXPECT_EQ(values_of(parameters[1].value), std::vector<float>{1});
}

TEST(SgdMomentum, gathers_momentum_at_a_rate_of_zero_and_drops_the_gradient) {
  std::vector<Parameter> parameters = {leaf("kernel", {3}, false)};
  SgdMomentum optimizer(parameters, {.momentum = 0.9});
  parameters[0].value.mutable_grad() = at::ones({1});
  optimizer.step(0);
  EXPECT_EQ(values_of(parameters[0].value), std::vector<float>{3});
  EXPECT_EQ(values_of(optimizer.momentum_buffers()[0]), std::vector<float>{1});
  EXPECT_FALSE(parameters[0].value.grad().defined());
}

TEST(SgdMomentum, names_a_parameter_without_gradient) {
  SgdMomentum optimizer({leaf("stem.conv.weight", {1}, true)}, {});
  try {
    optimizer.step(1);
    FAIL() << "accepted";
  } catch (const std::logic_error& error) {
    EXPECT_STREQ(error.what(), "optimizer: stem.conv.weight has no gradient");
  }
}

TEST(SgdMomentum, gives_the_same_result_on_many_elements_in_several_threads) {
  const std::int64_t count = 200003;
  Parameter parameter{"kernel", at::linspace(-1, 1, count).set_requires_grad(true), true};
  const at::Tensor before = parameter.value.detach().clone();
  const at::Tensor gradient = at::linspace(2, -3, count);
  SgdMomentum optimizer({parameter}, {.momentum = 0.9, .weight_decay = 1e-4});
  parameter.value.mutable_grad() = gradient.clone();
  optimizer.step(0.1);
  const at::Tensor expected = before - 0.1 * (gradient + 1e-4 * before);
  EXPECT_TRUE(at::allclose(parameter.value.detach(), expected, 1e-6, 1e-7));
}

TEST(SgdMomentum, says_when_weights_or_momentum_stop_being_finite) {
  std::vector<Parameter> parameters = {leaf("fine", std::vector<float>(100000, 1), true),
                                       leaf("kernel", std::vector<float>(100000, 1), true)};
  SgdMomentum optimizer(parameters, {.momentum = 0.9});
  const auto step = [&](float last_gradient, double rate) {
    for (Parameter& parameter : parameters)
      parameter.value.mutable_grad() = at::zeros_like(parameter.value.detach());
    parameters[1].value.mutable_grad()[-1] = last_gradient;
    return optimizer.step(rate);
  };
  Finite finite = step(1, 0.1);
  EXPECT_TRUE(finite.momentum && finite.weights);
  finite = step(1, 1e30);  // a finite weight, whose square is not
  EXPECT_TRUE(finite.momentum);
  EXPECT_FALSE(finite.weights);
  finite = step(std::numeric_limits<float>::quiet_NaN(), 0);
  EXPECT_FALSE(finite.momentum);
}

// --- kernels whose standardised values are the leaves, against the plain formulation: autograd
// through the standardisation, in fp64

struct Kernel {
  std::array<std::int64_t, 4> shape;
  at::ScalarType leaf;
  at::ScalarType gradient;
};

at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed) {
  at::Tensor values = at::empty(shape, at::kFloat);
  he_normal(values.view({2, -1, 1, 1}), seed, 0);
  return values;
}

Parameter kernel(const Kernel& k) {
  const auto format = at::MemoryFormat::ChannelsLast;
  Parameter parameter{"kernel", (0.05 * normal(k.shape, 1) + 0.02).contiguous(format), true};
  parameter.standardized = at::empty(k.shape, at::TensorOptions().dtype(k.leaf), format);
  parameter.standardized.set_requires_grad(true);
  standardize(parameter.value, parameter.standardized);
  return parameter;
}

at::Tensor gradient_through_standardization(const at::Tensor& weight, const at::Tensor& gradient) {
  const at::Tensor leaf = weight.to(at::kDouble).clone().set_requires_grad(true);
  reference::standardize(leaf).backward(gradient.to(at::kDouble));
  return leaf.grad();
}

double difference(const at::Tensor& value, const at::Tensor& expected) {
  return ((value.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

std::string kernel_name(const testing::TestParamInfo<Kernel>& kernel) {
  const auto type = [](at::ScalarType t) { return t == at::kFloat ? "_fp32" : "_bf16"; };
  std::string name;
  for (const std::int64_t size : kernel.param.shape) name += std::to_string(size) + "x";
  return name + type(kernel.param.leaf) + type(kernel.param.gradient);
}

class StandardizedKernel : public testing::TestWithParam<Kernel> {};

TEST_P(StandardizedKernel, is_updated_as_through_autograd_for_several_steps) {
  test::on_every_target([](const char* target) {
    const Kernel& k = GetParam();
    const Parameter parameter = kernel(k);
    SgdMomentum optimizer({parameter}, {.momentum = 0.9, .weight_decay = 0.01});
    at::Tensor weight = parameter.value.to(at::kDouble).clone();
    at::Tensor velocity = at::zeros_like(weight);
    for (std::uint64_t step = 0; step < 3; ++step) {
      const at::Tensor gradient = (3 * normal(k.shape, 10 + step)).to(k.gradient);
      const at::Tensor expected = 0.5 * gradient_through_standardization(weight, gradient);
      parameter.leaf().mutable_grad() = gradient.contiguous(at::MemoryFormat::ChannelsLast);
      EXPECT_NEAR(optimizer.gradient_norm(0.5) / expected.norm().item<double>(), 1, 1e-5) << target;
      const Finite finite = optimizer.step(0.1, 0.5);
      velocity = 0.9 * velocity + expected + 0.01 * weight;
      weight = weight - 0.1 * velocity;

      EXPECT_TRUE(finite.momentum && finite.weights);
      EXPECT_LT(difference(parameter.value, weight), 1e-6) << target << " step " << step;
      EXPECT_LT(difference(optimizer.momentum_buffers()[0], velocity), 1e-5) << target;
      const at::Tensor standardized = reference::standardize(parameter.value.to(at::kDouble));
      const double rounding = k.leaf == at::kFloat ? 1e-6 : 3e-3;
      EXPECT_LT(difference(parameter.standardized.detach(), standardized), rounding) << target;
      const UpdateNorms norms = optimizer.norms()[0];
      EXPECT_NEAR(norms.gradient / expected.norm().item<double>(), 1, 1e-5) << target;
      EXPECT_NEAR(norms.weight / weight.norm().item<double>(), 1, 1e-5) << target;
      EXPECT_NEAR(norms.update / (0.1 * velocity.norm().item<double>()), 1, 1e-5) << target;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Shapes, StandardizedKernel,
                         testing::Values(Kernel{{64, 3, 7, 7}, at::kFloat, at::kFloat},
                                         Kernel{{6, 5, 3, 3}, at::kFloat, at::kFloat},
                                         Kernel{{70, 128, 1, 1}, at::kFloat, at::kFloat},
                                         Kernel{{32, 512, 3, 3}, at::kFloat, at::kFloat},
                                         Kernel{{64, 3, 7, 7}, at::kBFloat16, at::kBFloat16},
                                         Kernel{{64, 64, 3, 3}, at::kBFloat16, at::kBFloat16},
                                         Kernel{{64, 64, 3, 3}, at::kBFloat16, at::kFloat}),
                         kernel_name);

TEST(SgdMomentum, decays_decoupled_from_the_momentum) {
  std::vector<Parameter> parameters = {leaf("kernel", {2}, true)};
  SgdMomentum optimizer(parameters,
                        {.momentum = 0.5, .weight_decay = 0.5, .decoupled_decay = true});
  parameters[0].value.mutable_grad() = at::tensor({4.0F});
  optimizer.step(0.25);
  // v = 4; w = 2 - 0.25 * 4 - 0.25 * 0.5 * 2
  EXPECT_EQ(values_of(parameters[0].value), std::vector<float>{0.75F});
  EXPECT_EQ(values_of(optimizer.momentum_buffers()[0]), std::vector<float>{4});
}

TEST(SgdMomentum, takes_gradients_in_any_memory_order) {
  const Kernel k{{8, 16, 3, 3}, at::kFloat, at::kFloat};
  const Parameter one = kernel(k), other = kernel(k);
  const at::Tensor gradient = normal(k.shape, 5);
  SgdMomentum first({one}, {}), second({other}, {});
  one.leaf().mutable_grad() = gradient.contiguous();
  other.leaf().mutable_grad() = gradient.contiguous(at::MemoryFormat::ChannelsLast);
  first.step(0.1);
  second.step(0.1);
  EXPECT_TRUE(at::equal(one.value, other.value));
}

}  // namespace
}  // namespace bit::trainer
