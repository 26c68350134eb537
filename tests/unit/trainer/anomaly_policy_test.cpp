// What is done about a sequence of losses.
#include "trainer/anomaly_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <vector>

namespace bit::trainer {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr Decision kUpdate = Decision::kUpdate;
constexpr Decision kWarn = Decision::kUpdateAndWarn;
constexpr Decision kSkip = Decision::kSkip;
constexpr Decision kRollback = Decision::kRollback;
constexpr Decision kStop = Decision::kStop;

// Of a policy that the losses are shown to in turn, all gradients finite.
std::vector<Decision> decisions(AnomalyPolicy& policy, const std::vector<double>& losses) {
  std::vector<Decision> made;
  for (const double loss : losses)
    made.push_back(policy.decide(policy.anomaly_of(loss, true), loss));
  return made;
}
std::vector<Decision> decisions(const AnomalySettings& settings,
                                const std::vector<double>& losses) {
  AnomalyPolicy policy(settings);
  return decisions(policy, losses);
}

TEST(AnomalyPolicy, stops_at_a_loss_or_a_gradient_that_is_not_finite) {
  EXPECT_THAT(decisions({}, {2, kNan}), ElementsAre(kUpdate, kStop));
  EXPECT_THAT(decisions({}, {2, std::numeric_limits<double>::infinity()}),
              ElementsAre(kUpdate, kStop));
  AnomalyPolicy policy({});
  EXPECT_EQ(policy.anomaly_of(2, false), Anomaly::kNotFinite);
  EXPECT_EQ(policy.decide(Anomaly::kNotFinite, 2), kStop);
}

TEST(AnomalyPolicy, never_applies_what_is_not_finite) {
  EXPECT_THAT(decisions({.action = AnomalyAction::kWarn}, {2, kNan, 2}),
              ElementsAre(kUpdate, kSkip, kUpdate));
  EXPECT_THAT(decisions({.action = AnomalyAction::kSkip}, {2, kNan, 2}),
              ElementsAre(kUpdate, kSkip, kUpdate));
  EXPECT_THAT(decisions({.action = AnomalyAction::kRollback}, {2, kNan, 2}),
              ElementsAre(kUpdate, kRollback, kUpdate));
}

TEST(AnomalyPolicy, knows_no_spikes_without_a_factor) {
  EXPECT_THAT(decisions({.window = 1}, {1, 1, 1e9}), Each(kUpdate));
}

TEST(AnomalyPolicy, looks_for_spikes_once_the_window_is_full) {
  AnomalySettings settings{.action = AnomalyAction::kSkip, .spike_factor = 2, .window = 3};
  EXPECT_THAT(
      decisions(settings, {1, 9, 2, 8, 8.1}),
      ElementsAre(kUpdate, kUpdate, kUpdate, kUpdate, kUpdate));  // mean 4: up to 8; then 16/3
  EXPECT_THAT(decisions(settings, {4, 4, 4, 8.1, 8}),
              ElementsAre(kUpdate, kUpdate, kUpdate, kSkip, kUpdate));
  settings.action = AnomalyAction::kWarn;
  EXPECT_THAT(decisions(settings, {4, 4, 4, 8.1}), ElementsAre(kUpdate, kUpdate, kUpdate, kWarn));
  settings.action = AnomalyAction::kStop;
  EXPECT_THAT(decisions(settings, {4, 4, 4, 8.1}), ElementsAre(kUpdate, kUpdate, kUpdate, kStop));
}

TEST(AnomalyPolicy, keeps_losses_that_were_left_out_from_the_average) {
  AnomalyPolicy policy({.action = AnomalyAction::kSkip, .spike_factor = 2, .window = 2});
  decisions(policy, {3, 5, 100, kNan});
  EXPECT_EQ(policy.average(), 4);
  decisions(policy, {6});
  EXPECT_EQ(policy.average(), 5);
}

TEST(AnomalyPolicy, stops_at_the_limit) {
  EXPECT_THAT(decisions({.action = AnomalyAction::kSkip, .limit = 3}, {1, kNan, kNan, 1, kNan}),
              ElementsAre(kUpdate, kSkip, kSkip, kUpdate, kStop));
  EXPECT_THAT(decisions({.action = AnomalyAction::kRollback, .limit = 1}, {1, kNan}),
              ElementsAre(kUpdate, kStop));
}

TEST(AnomalyPolicy, counts_anew_after_a_window_of_calm) {
  const AnomalySettings settings{.action = AnomalyAction::kSkip, .window = 2, .limit = 2};
  EXPECT_THAT(decisions(settings, {kNan, 1, 1, kNan, 1, kNan}),
              ElementsAre(kSkip, kUpdate, kUpdate, kSkip, kUpdate, kStop));
}

TEST(AnomalyPolicy, goes_on_from_its_state_as_if_never_interrupted) {
  const AnomalySettings settings{
      .action = AnomalyAction::kSkip, .spike_factor = 1.1, .window = 3, .limit = 4};
  const std::vector<double> losses = {0.1, 0.7, 0.3, 0.9, 0.37, kNan, 0.4, 0.41, 0.5, kNan, kNan};
  const auto whole = decisions(settings, losses);
  for (std::size_t cut = 0; cut <= losses.size(); ++cut) {
    const auto middle = losses.begin() + static_cast<std::ptrdiff_t>(cut);
    AnomalyPolicy before(settings);
    auto parts = decisions(before, {losses.begin(), middle});
    AnomalyPolicy after(settings);
    after.set_state(before.state());
    for (const Decision decision : decisions(after, {middle, losses.end()}))
      parts.push_back(decision);
    EXPECT_EQ(parts, whole) << "interrupted after " << cut;
    EXPECT_EQ(after.average(), [&] {
      AnomalyPolicy policy(settings);
      decisions(policy, losses);
      return policy.average();
    }());
  }
}

TEST(AnomalyPolicy, refuses_a_state_that_is_none) {
  for (const char* text : {"", "1", "1 2 3", "1 2 3 x", "1 2 3 4 5"})
    EXPECT_THROW(AnomalyPolicy({}).set_state(text), std::invalid_argument) << text;
}

}  // namespace
}  // namespace bit::trainer
