#include "trainer/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

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
  SgdMomentum optimizer(parameters, 0.5, 0.25);
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
  SgdMomentum optimizer(parameters, 0.9, 0.5);
  for (Parameter& parameter : parameters) parameter.value.mutable_grad() = at::zeros({1});
  optimizer.step(1);
  EXPECT_EQ(values_of(parameters[0].value), std::vector<float>{0.5F});
  EXPECT_EQ(values_of(parameters[1].value), std::vector<float>{1});
}

TEST(SgdMomentum, gathers_momentum_at_a_rate_of_zero_and_drops_the_gradient) {
  std::vector<Parameter> parameters = {leaf("kernel", {3}, false)};
  SgdMomentum optimizer(parameters, 0.9, 0);
  parameters[0].value.mutable_grad() = at::ones({1});
  optimizer.step(0);
  EXPECT_EQ(values_of(parameters[0].value), std::vector<float>{3});
  EXPECT_EQ(values_of(optimizer.momentum_buffers()[0]), std::vector<float>{1});
  EXPECT_FALSE(parameters[0].value.grad().defined());
}

TEST(SgdMomentum, names_a_parameter_without_gradient) {
  SgdMomentum optimizer({leaf("stem.conv.weight", {1}, true)}, 0.9, 0);
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
  SgdMomentum optimizer({parameter}, 0.9, 1e-4);
  parameter.value.mutable_grad() = gradient.clone();
  optimizer.step(0.1);
  const at::Tensor expected = before - 0.1 * (gradient + 1e-4 * before);
  EXPECT_TRUE(at::allclose(parameter.value.detach(), expected, 1e-6, 1e-7));
}

TEST(SgdMomentum, says_when_weights_or_momentum_stop_being_finite) {
  std::vector<Parameter> parameters = {leaf("fine", std::vector<float>(100000, 1), true),
                                       leaf("kernel", std::vector<float>(100000, 1), true)};
  SgdMomentum optimizer(parameters, 0.9, 0);
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

}  // namespace
}  // namespace bit::trainer
