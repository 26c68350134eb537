// Moments and ends of the distributions that kernels start from.
#include "trainer/initialization.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "trainer/resnet_v2.h"

namespace bit::trainer {
namespace {

constexpr double kFanIn = 64 * 9;    // of the kernel below
constexpr double kFanOut = 256 * 9;  // 147,456 elements in all

using Fill = void (*)(at::Tensor, std::uint64_t, std::uint64_t);

at::Tensor filled(Fill fill, std::uint64_t seed = 3, std::uint64_t parameter = 5) {
  at::Tensor kernel = at::empty({256, 64, 3, 3}, at::kFloat);
  fill(kernel, seed, parameter);
  return kernel.to(at::kDouble);
}

// `kurtosis` is the fourth moment over the squared variance: 3 for a normal, 1.8 for a uniform.
void expect_moments(const at::Tensor& values, double variance, double kurtosis) {
  const auto count = static_cast<double>(values.numel());
  const at::Tensor scaled = values / std::sqrt(variance);
  // Five standard errors each; that of the fourth moment is at most that of a normal's.
  EXPECT_NEAR(scaled.mean().item<double>(), 0, 5 / std::sqrt(count));
  EXPECT_NEAR(scaled.pow(2).mean().item<double>(), 1, 5 * std::sqrt(2 / count));
  EXPECT_NEAR(scaled.pow(3).mean().item<double>(), 0, 5 * std::sqrt(15 / count));
  EXPECT_NEAR(scaled.pow(4).mean().item<double>(), kurtosis, 5 * std::sqrt(96 / count));
}

TEST(Initialization, he_normal_has_two_over_fan_out) {
  const at::Tensor kernel = filled(he_normal);
  expect_moments(kernel, 2 / kFanOut, 3);
  EXPECT_GT(kernel.abs().max().item<double>(), 3.5 * std::sqrt(2 / kFanOut));  // not cut
}

TEST(Initialization, glorot_uniform_fills_its_interval_evenly) {
  const at::Tensor kernel = filled(glorot_uniform);
  expect_moments(kernel, 2 / (kFanIn + kFanOut), 1.8);
  const double limit = std::sqrt(6 / (kFanIn + kFanOut));
  EXPECT_LE(kernel.max().item<double>(), limit * (1 + 1e-6));
  EXPECT_GE(kernel.min().item<double>(), -limit * (1 + 1e-6));
  EXPECT_GT(kernel.max().item<double>(), 0.999 * limit);
  EXPECT_LT(kernel.min().item<double>(), -0.999 * limit);
}

TEST(Initialization, lecun_normal_is_cut_at_two_deviations_and_keeps_its_variance) {
  const at::Tensor kernel = filled(lecun_normal);
  // Of a normal cut at a = 2, density p = 0.05399 there and mass Z = 0.95450 inside: variance
  // V = 1 - 2 a p / Z = 0.77374, fourth moment M = 3 V - 2 a^3 p / Z = 1.41619, kurtosis
  // M / V^2 = 2.36554.
  expect_moments(kernel, 1 / kFanIn, 2.3655);
  const double limit = 2 * std::sqrt(1 / kFanIn) / std::sqrt(0.77374);
  EXPECT_LE(kernel.abs().max().item<double>(), limit * 1.0001);
  EXPECT_GT(kernel.abs().max().item<double>(), 0.999 * limit);
}

TEST(Initialization, of_the_head_has_a_deviation_of_a_hundredth) {
  expect_moments(filled(small_normal), 1e-4, 3);
}

TEST(Initialization, differs_between_seeds_and_parameters_and_repeats_itself) {
  for (const Fill fill : {he_normal, glorot_uniform, lecun_normal, small_normal}) {
    EXPECT_TRUE(at::equal(filled(fill), filled(fill)));
    EXPECT_FALSE(at::equal(filled(fill), filled(fill, 4)));
    EXPECT_FALSE(at::equal(filled(fill), filled(fill, 3, 6)));
  }
}

const at::Tensor& find(const ResNetV2& model, const std::string& name) {
  for (const Parameter& parameter : model.parameters()) {
    if (parameter.name == name) return parameter.value;
  }
  throw std::out_of_range(name);
}

TEST(Initialization, of_the_model_is_the_one_that_was_asked_for) {
  const char* name = "stages.0.blocks.0.conv1.weight";  // parameter 4, counted from 0
  ResNetConfig config = parse_model_name("R26x0.5", 10);
  const auto start = [&](KernelInitialization kind) {
    config.initialization = kind;
    const ResNetV2 model(config, Precision::kFp32, 3);
    return find(model, name).detach().clone();
  };
  const at::Tensor he = start(KernelInitialization::kHeNormal);
  const auto expected = [&](Fill fill) {
    at::Tensor kernel = at::empty_like(he);
    fill(kernel, 3, 4);
    return kernel;
  };
  EXPECT_TRUE(at::equal(he, expected(he_normal)));
  EXPECT_TRUE(at::equal(start(KernelInitialization::kGlorotUniform), expected(glorot_uniform)));
  EXPECT_TRUE(at::equal(start(KernelInitialization::kLecunNormal), expected(lecun_normal)));
}

TEST(Initialization, the_head_is_zero_unless_a_normal_is_asked_for) {
  ResNetConfig config = parse_model_name("R26x0.5", 1000);
  const auto deviation = [&] {
    const ResNetV2 model(config, Precision::kFp32, 3);
    return find(model, "head.fc.weight").detach().std().item<double>();
  };
  EXPECT_EQ(deviation(), 0);
  config.head_initialization = HeadInitialization::kNormal;
  EXPECT_NEAR(deviation(), 0.01, 1e-4);
}

TEST(Decay, is_for_kernels_unless_it_is_for_everything) {
  ResNetConfig config = parse_model_name("R26x0.5", 10);
  for (const Parameter& parameter : ResNetV2(config, Precision::kFp32, 3).parameters()) {
    EXPECT_EQ(parameter.decay, parameter.value.dim() == 4) << parameter.name;
  }
  config.decay_everything = true;
  for (const Parameter& parameter : ResNetV2(config, Precision::kFp32, 3).parameters()) {
    EXPECT_TRUE(parameter.decay) << parameter.name;
  }
}

}  // namespace
}  // namespace bit::trainer
