// Norms of an update, from those of its parameters.
#include "trainer/update_numbers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

namespace bit::trainer {
namespace {

TEST(ClipFactor, scales_a_larger_norm_down_and_no_other) {
  EXPECT_EQ(clip_factor(4, 1), 0.25);
  EXPECT_EQ(clip_factor(1, 1), 1);
  EXPECT_EQ(clip_factor(0, 1), 1);
  EXPECT_EQ(clip_factor(4, 0), 1);
  EXPECT_EQ(clip_factor(std::numeric_limits<double>::quiet_NaN(), 1), 1);
  EXPECT_EQ(clip_factor(std::numeric_limits<double>::infinity(), 1), 1);
}

TEST(AddNorms, are_of_all_weights_and_of_the_gradient_before_clipping) {
  StepReport report;
  add_norms({{3, 1, 0.5}, {4, 2, 1.2}, {12, 2, 0}}, 0.5, report);
  EXPECT_DOUBLE_EQ(report.gradient_norm, 26);
  EXPECT_DOUBLE_EQ(report.parameter_norm, 3);
  EXPECT_DOUBLE_EQ(report.update_norm, 1.3);
}

TEST(LayersOf, have_an_effective_rate_where_the_scale_changes_nothing) {
  const Parameter kernel{"stem.conv.weight", at::ones({2, 1, 1, 1}), true, at::ones({2, 1, 1, 1})};
  const Parameter bias{"head.fc.bias", at::ones({2})};
  StepReport report;
  report.step = 7;
  report.learning_rate = 0.1;
  const LayersReport layers = layers_of({kernel, bias}, {{3, 2, 1}, {4, 5, 6}}, 0.5, report);
  EXPECT_EQ(layers.step, 7u);
  ASSERT_EQ(layers.layers.size(), 2u);
  EXPECT_EQ(layers.layers[0].name, "stem.conv.weight");
  EXPECT_EQ(layers.layers[0].weight_norm, 2);
  EXPECT_EQ(layers.layers[0].gradient_norm, 6);
  EXPECT_EQ(layers.layers[0].update_norm, 1);
  EXPECT_DOUBLE_EQ(layers.layers[0].effective_learning_rate.value(), 0.025);
  EXPECT_FALSE(layers.layers[1].effective_learning_rate.has_value());
}

}  // namespace
}  // namespace bit::trainer
