#include "trainer/schedule.h"

#include <gtest/gtest.h>

namespace bit::trainer {
namespace {

Schedule hyper_rule_small() {
  return {.peak = 0.003, .total_steps = 500, .warmup_steps = 100, .drops = {200, 300, 400}};
}

TEST(Schedule, starts_at_zero_and_rises_in_a_straight_line) {
  const Schedule schedule = hyper_rule_small();
  EXPECT_EQ(schedule.learning_rate(0), 0);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(1), 0.00003);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(50), 0.0015);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(99), 0.00297);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(100), 0.003);
}

TEST(Schedule, drops_strictly_after_each_boundary) {
  const Schedule schedule = hyper_rule_small();
  EXPECT_DOUBLE_EQ(schedule.learning_rate(200), 0.003);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(201), 0.0003);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(300), 0.0003);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(301), 0.00003);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(499), 0.000003);
}

TEST(Schedule, without_warmup_begins_at_the_peak) {
  const Schedule schedule = {.peak = 0.5, .total_steps = 10, .warmup_steps = 0, .drops = {}};
  EXPECT_DOUBLE_EQ(schedule.learning_rate(0), 0.5);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(9), 0.5);
}

TEST(Schedule, takes_another_drop_factor) {
  const Schedule schedule = {
      .peak = 1, .total_steps = 10, .warmup_steps = 0, .drops = {2, 4}, .drop_factor = 0.5};
  EXPECT_DOUBLE_EQ(schedule.learning_rate(3), 0.5);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(5), 0.25);
}

}  // namespace
}  // namespace bit::trainer
