// Norms, clipping, what a run does about losses that jump or are no numbers, and job: evaluate.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "tests/integration/run_support.h"

namespace bit::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> kShort = {"schedule.drops=[]", "schedule.warmup=1 steps",
                                         "schedule.length=8 steps", "checkpoint.every=1 steps",
                                         "checkpoint.keep=8"};
// The weights overflow in the first update, which is that of step 2: the rate of step 1 is 0.
const std::string kSpoils = "optimizer.learning_rate=1e30";
// The loss overflows from the first step on.
const std::vector<std::string> kOverflows = {"model.loss=sigmoid", "model.head_bias=1e38",
                                             "anomaly.limit=3"};

class Numbers : public testing::Test {
 protected:
  TinyRun run_of(const std::string& name, std::vector<std::string> more, int ranks = 2) {
    std::vector<std::string> overrides = kShort;
    overrides.insert(overrides.end(), more.begin(), more.end());
    return {.output = directory_ / name, .overrides = overrides, .ranks = ranks};
  }
  static std::string weights_of(const TinyRun& run) {
    return file_bytes(run.output + "/model.safetensors");
  }
  static std::vector<std::string> actions_of(const TinyRun& run) {
    std::vector<std::string> actions;
    for (const auto& event : events(run.output, "anomaly")) actions.push_back(event.at("action"));
    return actions;
  }

  TempDirectory directory_;
};

TEST_F(Numbers, norms_of_a_step_are_those_of_its_layers) {
  const TinyRun run = run_of("run", {"metrics.layers_every=4"});
  const ProcessResult result = run.go();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto layers = events(run.output, "layers");
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_EQ(layers[1].at("step"), 8);
  double gradient = 0, weights = 0, update = 0;
  for (const auto& layer : layers[1].at("layers")) {
    gradient += std::pow(layer.at("gradient_norm").get<double>(), 2);
    weights += std::pow(layer.at("weight_norm").get<double>(), 2);
    update += std::pow(layer.at("update_norm").get<double>(), 2);
    const bool standardized = layer.at("name").get<std::string>().find("conv") != std::string::npos;
    EXPECT_EQ(layer.contains("effective_learning_rate"), standardized) << layer;
  }
  const auto step = events(run.output, "step").back();
  EXPECT_NEAR(step.at("gradient_norm").get<double>(), std::sqrt(gradient), 1e-9);
  EXPECT_NEAR(step.at("parameter_norm").get<double>(), std::sqrt(weights), 1e-9);
  EXPECT_NEAR(step.at("update_norm").get<double>(), std::sqrt(update), 1e-9);
  EXPECT_GT(gradient, 0);
}

TEST_F(Numbers, clipping_limits_the_update_and_leaves_the_norm_that_is_reported) {
  const TinyRun free = run_of("free", {"optimizer.weight_decay=0"});
  const TinyRun clipped =
      run_of("clipped", {"optimizer.weight_decay=0", "optimizer.clip_norm=0.125"});
  const TinyRun wide = run_of("wide", {"optimizer.weight_decay=0", "optimizer.clip_norm=1e9"});
  for (const TinyRun* run : {&free, &clipped, &wide}) ASSERT_EQ(run->go().exit_code, 0);
  const auto first = events(clipped.output, "step").at(0);
  const double norm = first.at("gradient_norm");
  EXPECT_GT(norm, 0.125);
  EXPECT_NEAR(norm, events(free.output, "step").at(0).at("gradient_norm").get<double>(),
              1e-5 * norm);
  EXPECT_NEAR(first.at("update_norm").get<double>(),
              first.at("learning_rate").get<double>() * 0.125, 1e-6);
  EXPECT_NE(weights_of(clipped), weights_of(free));
  EXPECT_EQ(weights_of(wide), weights_of(free));
}

TEST_F(Numbers, a_loss_that_stays_not_finite_ends_every_policy_with_78) {
  const std::map<std::string, std::vector<std::string>> expected = {
      {"warn", {"skip", "skip", "stop"}},
      {"skip", {"skip", "skip", "stop"}},
      {"rollback", {"stop"}},
      {"stop", {"stop"}}};
  for (const auto& [policy, actions] : expected) {
    auto overrides = kOverflows;
    overrides.push_back("anomaly.policy=" + policy);
    const TinyRun run = run_of(policy, overrides);
    const ProcessResult result = run.go();
    EXPECT_EQ(result.exit_code, 78) << policy << result.err;
    EXPECT_EQ(actions_of(run), actions) << policy;
    EXPECT_THAT(result.err, HasSubstr("the loss is not finite at step ")) << policy;
    const bool limited = actions.size() > 1;
    EXPECT_EQ(result.err.find("the last of 3 that anomaly.limit allows") != std::string::npos,
              limited);
    EXPECT_FALSE(std::filesystem::exists(run.output + "/model.safetensors")) << policy;
    EXPECT_TRUE(std::filesystem::is_empty(run.output + "/checkpoints")) << policy;
  }
}

TEST_F(Numbers, weights_that_an_update_spoilt_are_not_saved_and_only_rollback_goes_on) {
  const std::map<std::string, std::vector<std::string>> expected = {
      {"warn", {"stop"}}, {"skip", {"stop"}}, {"rollback", {"rollback", "rollback", "stop"}}};
  for (const auto& [policy, actions] : expected) {
    const TinyRun run = run_of(policy, {kSpoils, "anomaly.limit=3", "anomaly.policy=" + policy});
    const ProcessResult result = run.go();
    EXPECT_EQ(result.exit_code, 78) << policy << result.err;
    EXPECT_EQ(actions_of(run), actions) << policy;
    EXPECT_FALSE(std::filesystem::exists(run.output + "/model.safetensors")) << policy;
    for (const auto& saved : events(run.output, "checkpoint")) EXPECT_EQ(saved.at("step"), 1);
  }
}

TEST_F(Numbers, a_skipped_update_leaves_the_weights_and_the_run_goes_on) {
  // Every loss is above a thousandth of the average: all but the first two steps are left out.
  const std::vector<std::string> all = {"anomaly.policy=skip", "anomaly.spike_factor=1e-3",
                                        "anomaly.window=2", "anomaly.limit=100"};
  const TinyRun run = run_of("run", all);
  const ProcessResult result = run.go();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(actions_of(run), testing::Contains("skip").Times(6));
  const auto steps = events(run.output, "step");
  ASSERT_EQ(steps.size(), 8u);
  EXPECT_TRUE(steps[7].at("update_norm").is_null());
  EXPECT_GT(steps[7].at("gradient_norm").get<double>(), 0);
  EXPECT_THAT(result.out, HasSubstr("its update is left out"));
}

TEST_F(Numbers, a_run_with_skips_resumes_to_the_same_weights) {
  const std::vector<std::string> some = {"schedule.length=12 steps", "anomaly.policy=skip",
                                         "anomaly.spike_factor=1.0", "anomaly.window=2",
                                         "anomaly.limit=100"};
  const TinyRun whole = run_of("whole", some);
  ASSERT_EQ(whole.go().exit_code, 0);
  const auto skipped = actions_of(whole);
  ASSERT_GT(skipped.size(), 0u);
  ASSERT_LT(skipped.size(), 10u);
  auto half = some;
  half[0] = "schedule.length=6 steps";
  TinyRun parts = run_of("parts", half);
  ASSERT_EQ(parts.go().exit_code, 0);
  parts.overrides = run_of("parts", some).overrides;
  ASSERT_EQ(parts.go().exit_code, 0);
  EXPECT_EQ(actions_of(parts), skipped);
  EXPECT_EQ(weights_of(parts), weights_of(whole));
}

TEST_F(Numbers, a_spike_is_applied_under_warn_and_stops_under_stop) {
  const std::vector<std::string> spikes = {"anomaly.spike_factor=1e-3", "anomaly.window=2"};
  const TinyRun plain = run_of("plain", {});
  auto warn = spikes;
  warn.push_back("anomaly.policy=warn");
  const TinyRun warned = run_of("warned", warn);
  ASSERT_EQ(plain.go().exit_code, 0);
  ASSERT_EQ(warned.go().exit_code, 0);
  EXPECT_EQ(weights_of(warned), weights_of(plain));
  EXPECT_EQ(actions_of(warned).size(), 6u);
  const TinyRun stopped = run_of("stopped", spikes);
  const ProcessResult result = stopped.go();
  EXPECT_EQ(result.exit_code, 78);
  EXPECT_THAT(result.err, HasSubstr("is above 0.001 x its average"));
  EXPECT_EQ(events(stopped.output, "step").size(), 2u);
}

TEST_F(Numbers, a_rollback_goes_on_with_the_weights_of_an_earlier_checkpoint) {
  const TinyRun run = run_of("run", {"schedule.length=6 steps", "anomaly.policy=rollback",
                                     "anomaly.spike_factor=1e-3", "anomaly.window=5"});
  const ProcessResult result = run.go();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto anomalies = events(run.output, "anomaly");
  ASSERT_EQ(anomalies.size(), 1u);
  EXPECT_EQ(anomalies[0].at("step"), 6);
  EXPECT_LE(anomalies[0].at("back_to").get<int>(), 4);  // not that of step 5, which led there
  EXPECT_EQ(events(run.output, "step").size(), 6u);
  const TinyRun early =
      run_of("early", {"schedule.length=" + anomalies[0].at("back_to").dump() + " steps"});
  ASSERT_EQ(early.go().exit_code, 0);
  // The same weights; the step in the files differs.
  const ProcessResult diff =
      run_process({std::string(BIT_BIN_DIRECTORY) + "/bit-model", "diff",
                   run.output + "/model.safetensors", early.output + "/model.safetensors"});
  EXPECT_EQ(diff.exit_code, 0) << diff.out << diff.err;
}

TEST_F(Numbers, job_evaluate_gives_the_numbers_of_the_end_of_the_run) {
  const std::vector<std::string> split = {"evaluate.split=test", "evaluate.resize=36"};
  const TinyRun run = run_of("run", split);
  ASSERT_EQ(run.go().exit_code, 0);
  const auto expected = events(run.output, "eval").at(0);
  const std::string config = file_bytes(run.output + "/config.yaml");
  const auto equals = [&](const nlohmann::json& found) {
    for (const char* key : {"step", "split", "records", "skipped", "top1", "top5"})
      EXPECT_EQ(found.at(key), expected.at(key)) << key;
    EXPECT_NEAR(found.at("loss").get<double>(), expected.at("loss").get<double>(), 1e-6);
  };
  auto job = split;
  job.push_back("job=evaluate");
  TinyRun again = run_of("run", job);
  const ProcessResult own = again.go();
  ASSERT_EQ(own.exit_code, 0) << own.err;
  EXPECT_THAT(own.out, HasSubstr("top-1"));
  ASSERT_EQ(events(run.output, "eval").size(), 2u);
  equals(events(run.output, "eval").at(1));
  EXPECT_EQ(events(run.output, "step").size(), 8u);
  EXPECT_EQ(file_bytes(run.output + "/config.yaml"), config);

  job.push_back("model.init=" + run.output + "/model.safetensors");
  job.push_back("data.split=none");
  const TinyRun other = run_of("other", job, 1);
  const ProcessResult given = other.go();
  ASSERT_EQ(given.exit_code, 0) << given.err;
  equals(events(other.output, "eval").at(0));
}

TEST_F(Numbers, job_evaluate_says_what_it_would_do_and_what_is_missing) {
  TinyRun run = run_of("run", {"job=evaluate", "evaluate.split=test"}, 1);
  const ProcessResult none = run.go();
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("model.init is empty, and output, '" + run.output + "', has no"));
  run.overrides.back() = "evaluate.split=";
  EXPECT_THAT(run.go().err, HasSubstr("evaluate.split is empty: job evaluate needs a split"));
  ASSERT_EQ(run_of("run", {}, 1).go().exit_code, 0);
  run.overrides.back() = "evaluate.split=test";
  run.overrides.push_back("--dry-run");
  const ProcessResult plan = run.go();
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("the weights of " + run.output));
}

}  // namespace
}  // namespace bit::test
