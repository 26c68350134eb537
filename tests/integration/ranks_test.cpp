// The same run on 1, 2 and 4 ranks: same samples, same learning.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/integration/run_support.h"

namespace bit::test {
namespace {

// The paper's rate for this batch, 0.03 x 16 / 256, at the foot of a long warm-up. Larger rates
// make a small network chaotic: a rounding difference of 1e-7 then grows tenfold with every step,
// whoever computes it.
const std::vector<std::string> kPaperRate = {"optimizer.learning_rate=0.001875",
                                             "schedule.warmup=100 steps"};

struct Finished {
  std::vector<nlohmann::json> steps;
  std::vector<nlohmann::json> order;
};

Finished run_on(int ranks, const TempDirectory& directory) {
  TinyRun run{.output = directory / ("ranks-" + std::to_string(ranks)),
              .overrides = kPaperRate,
              .ranks = ranks};
  const ProcessResult result = run.go();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return {events(run.output, "step"), json_lines(run.output + "/order.jsonl")};
}

class SameRunOnAnyRanks : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TempDirectory;
    for (const int ranks : {1, 2, 4}) runs_[ranks] = run_on(ranks, *directory_);
  }
  static void TearDownTestSuite() { delete directory_; }

  inline static TempDirectory* directory_ = nullptr;
  inline static std::map<int, Finished> runs_;
};

TEST_F(SameRunOnAnyRanks, losses_of_20_steps_agree_to_1e_4) {
  ASSERT_EQ(runs_[1].steps.size(), 20u);
  for (const int ranks : {2, 4}) {
    ASSERT_EQ(runs_[ranks].steps.size(), 20u);
    for (std::size_t i = 0; i < 20; ++i) {
      const double alone = runs_[1].steps[i].at("loss");
      const double together = runs_[ranks].steps[i].at("loss");
      EXPECT_NEAR(together, alone, 1e-4 * std::abs(alone))
          << "step " << i + 1 << " on " << ranks << " ranks";
    }
  }
}

TEST_F(SameRunOnAnyRanks, sample_ids_of_every_global_batch_are_the_same) {
  ASSERT_EQ(runs_[1].order.size(), 20u);
  EXPECT_EQ(runs_[2].order, runs_[1].order);
  EXPECT_EQ(runs_[4].order, runs_[1].order);
  std::set<std::uint64_t> seen;
  for (const auto& line : runs_[1].order) {
    for (const std::uint64_t record : line.at("records"))
      EXPECT_TRUE(seen.insert(record).second) << record;
  }
  EXPECT_EQ(seen.size(), 20u * 16u);
}

TEST_F(SameRunOnAnyRanks, loss_goes_down_from_the_logarithm_of_the_classes) {
  EXPECT_NEAR(runs_[1].steps.front().at("loss"), std::log(10.0), 1e-5);  // the head starts at zero
  double late = 0;
  for (std::size_t i = 15; i < 20; ++i) late += runs_[1].steps[i].at("loss").get<double>() / 5;
  EXPECT_LT(late, std::log(10.0));
}

TEST_F(SameRunOnAnyRanks, phases_of_a_step_add_up_to_it) {
  for (const auto& step : runs_[2].steps) {
    double sum = 0;
    for (const char* phase :
         {"data_wait_seconds", "forward_seconds", "backward_seconds", "comm_exposed_seconds",
          "optimizer_seconds", "checkpoint_blocked_seconds", "other_seconds"}) {
      sum += step.at(phase).get<double>();
    }
    EXPECT_NEAR(sum, step.at("step_seconds"), 1e-6);
  }
}

TEST_F(SameRunOnAnyRanks, accumulation_takes_the_same_steps) {
  TinyRun run{.output = *directory_ / "accumulated", .overrides = kPaperRate, .ranks = 2};
  run.overrides.push_back("optimizer.accumulate=4");
  const ProcessResult result = run.go();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto steps = events(run.output, "step");
  ASSERT_EQ(steps.size(), 20u);
  for (std::size_t i = 0; i < 20; ++i) {
    const double expected = runs_[1].steps[i].at("loss");
    EXPECT_NEAR(steps[i].at("loss").get<double>(), expected, 1e-4 * expected) << "step " << i + 1;
  }
}

}  // namespace
}  // namespace bit::test
