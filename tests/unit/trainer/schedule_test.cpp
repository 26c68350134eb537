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

TEST(Schedule, may_warm_up_from_a_share_of_the_peak) {
  const Schedule schedule = {
      .peak = 0.4, .total_steps = 10, .warmup_steps = 4, .drops = {}, .warmup_start = 0.25};
  EXPECT_DOUBLE_EQ(schedule.learning_rate(0), 0.1);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(1), 0.175);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(3), 0.325);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(4), 0.4);
}

TEST(Schedule, falls_along_half_a_cosine_after_the_warm_up) {
  const Schedule schedule = {.peak = 0.8,
                             .total_steps = 112,
                             .warmup_steps = 100,
                             .drops = {},
                             .kind = ScheduleKind::kCosine};
  EXPECT_EQ(schedule.learning_rate(0), 0);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(50), 0.4);
  // Twelve steps are left: 0.4 (1 + cos of 0, 45, 60, 90, 120 degrees).
  EXPECT_DOUBLE_EQ(schedule.learning_rate(100), 0.8);
  EXPECT_NEAR(schedule.learning_rate(103), 0.68284271247461901, 1e-15);
  EXPECT_NEAR(schedule.learning_rate(104), 0.6, 1e-15);
  EXPECT_NEAR(schedule.learning_rate(106), 0.4, 1e-15);
  EXPECT_NEAR(schedule.learning_rate(108), 0.2, 1e-15);
  EXPECT_NEAR(schedule.learning_rate(111), 0.013629669484372661, 1e-15);  // cos of 165 degrees
  EXPECT_EQ(schedule.learning_rate(112), 0);                              // not a step of this run
}

TEST(Schedule, a_cosine_that_is_all_warm_up_only_rises) {
  const Schedule schedule = {
      .peak = 1, .total_steps = 4, .warmup_steps = 8, .drops = {}, .kind = ScheduleKind::kCosine};
  EXPECT_DOUBLE_EQ(schedule.learning_rate(3), 0.375);
}

}  // namespace
}  // namespace bit::trainer
