// One run directory over several starts: what each start may change, and what it has to make up
// for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <set>

#include "tests/integration/run_support.h"

namespace bit::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<int> steps_of(const std::string& output, const std::string& event) {
  std::vector<int> steps;
  for (const auto& line : events(output, event)) steps.push_back(line.at("step"));
  return steps;
}

std::set<std::string> names_in(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.insert(entry.path().filename());
  return names;
}

class Lifecycle : public testing::Test {
 protected:
  ProcessResult go(const std::vector<std::string>& overrides) {
    run_.overrides = overrides;
    return run_.go();
  }

  TempDirectory directory_;
  TinyRun run_{.output = directory_ / "run", .ranks = 2};
};

TEST_F(Lifecycle, a_run_made_longer_ends_with_its_own_evaluation_and_weights) {
  const std::vector<std::string> evaluated = {"evaluate.split=test", "evaluate.resize=36"};
  auto longer = evaluated;
  longer.push_back("schedule.length=8 steps");
  TinyRun whole{.output = directory_ / "whole", .overrides = longer, .ranks = 2};
  ASSERT_EQ(whole.go().exit_code, 0);
  auto shorter = evaluated;
  shorter.push_back("schedule.length=4 steps");
  ASSERT_EQ(go(shorter).exit_code, 0);
  const ProcessResult second = go(longer);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(steps_of(run_.output, "eval"), ElementsAre(4, 8));
  EXPECT_EQ(file_bytes(run_.output + "/model.safetensors"),
            file_bytes(whole.output + "/model.safetensors"));
  EXPECT_THAT(
      second.out,
      HasSubstr("changed since the checkpoint: schedule.length: \"4 steps\" → \"8 steps\""));
}

TEST_F(Lifecycle, a_finished_run_whose_weights_are_gone_or_others_writes_them_again) {
  ASSERT_EQ(go({"schedule.length=4 steps"}).exit_code, 0);
  const std::string path = run_.output + "/model.safetensors";
  const std::string weights = file_bytes(path);
  std::filesystem::resize_file(path, weights.size() - 1);
  EXPECT_EQ(run_.go().exit_code, 0);
  EXPECT_EQ(file_bytes(path), weights);
  std::filesystem::remove(path);
  EXPECT_EQ(run_.go().exit_code, 0);
  EXPECT_EQ(file_bytes(path), weights);
}

TEST_F(Lifecycle, a_state_that_is_not_finite_is_never_saved_and_a_lower_rate_goes_on) {
  const std::vector<std::string> every_step = {"schedule.drops=[]", "schedule.warmup=2 steps",
                                               "schedule.length=20 steps",
                                               "checkpoint.every=1 steps"};
  auto wild = every_step;
  wild.push_back("optimizer.learning_rate=1e30");
  const ProcessResult diverged = go(wild);
  EXPECT_EQ(diverged.exit_code, 78) << diverged.err;
  const auto kept = names_in(run_.output + "/checkpoints");
  ASSERT_FALSE(kept.empty());
  EXPECT_THAT(diverged.err, HasSubstr("the newest good checkpoint is " + run_.output +
                                      "/checkpoints/" + *kept.rbegin()));
  EXPECT_FALSE(std::filesystem::exists(run_.output + "/model.safetensors"));
  const auto end = events(run_.output, "done").back();
  EXPECT_EQ(end.at("exit_code"), 78);
  EXPECT_THAT(end.at("reason").get<std::string>(), HasSubstr("failed: "));
  for (const char* rank : {"0", "1"}) {
    const auto log = json_lines(run_.output + "/log/rank-" + rank + ".log").back();
    EXPECT_EQ(log.at("level"), "error");
    EXPECT_THAT(log.at("message").get<std::string>(), HasSubstr("not finite"));
  }
  auto tame = every_step;
  tame.push_back("optimizer.learning_rate=0.001");
  const ProcessResult resumed = go(tame);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr("resumed from"));
  EXPECT_EQ(events(run_.output, "step").size(), 20u);
}

TEST_F(Lifecycle, a_second_run_in_the_directory_is_refused_until_the_first_is_gone) {
  run_.overrides = {"schedule.length=2000 steps", "checkpoint.every=2000 steps"};
  const auto first = run_.start();
  ASSERT_TRUE(
      eventually([&] { return !first->running() || !events(run_.output, "step").empty(); }));
  const ProcessResult second = run_.go();
  EXPECT_EQ(second.exit_code, 3) << second.err;
  EXPECT_THAT(second.err,
              HasSubstr("bit-launch: error: " + run_.output + "/LOCK is held by process "));
  EXPECT_TRUE(first->running());
  EXPECT_TRUE(events(run_.output, "done").empty());
  kill_all_with(run_.output);
  const ProcessResult third = go({"schedule.length=2 steps"});
  EXPECT_EQ(third.exit_code, 0) << third.err;
  EXPECT_THAT(steps_of(run_.output, "step"), ElementsAre(1, 2));
}

TEST_F(Lifecycle, a_refused_resume_changes_nothing_of_the_run) {
  ASSERT_EQ(go({"schedule.length=4 steps"}).exit_code, 0);
  const std::string config = file_bytes(run_.output + "/config.yaml");
  const std::string metrics = file_bytes(run_.output + "/metrics.jsonl");
  const std::string log = file_bytes(run_.output + "/log/rank-0.log");
  const auto names = names_in(run_.output);

  const ProcessResult other = go({"schedule.length=4 steps", "seed=7"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("seed: the checkpoint has 0, this run 7"));
  EXPECT_THAT(other.err, HasSubstr("bit-launch: error: " + run_.output));
  const ProcessResult shorter = go({"schedule.length=3 steps"});
  EXPECT_EQ(shorter.exit_code, 2);
  EXPECT_THAT(shorter.err, HasSubstr("is at step 4, beyond the end of this run: "
                                     "schedule.length is 3 steps"));

  EXPECT_EQ(file_bytes(run_.output + "/config.yaml"), config);
  EXPECT_EQ(file_bytes(run_.output + "/metrics.jsonl"), metrics);
  EXPECT_EQ(names_in(run_.output), names);
  EXPECT_EQ(file_bytes(run_.output + "/log/rank-0.log"), log);
}

TEST_F(Lifecycle, an_evaluation_that_a_stop_left_out_is_made_up_for) {
  run_.overrides = {"schedule.length=6 steps", "evaluate.every=1 steps", "evaluate.split=test",
                    "evaluate.resize=36"};
  const auto process = run_.start();
  ASSERT_TRUE(
      eventually([&] { return !process->running() || !events(run_.output, "step").empty(); }));
  process->signal(SIGUSR2);
  ASSERT_EQ(process->wait().exit_code, 75);
  const int stopped = events(run_.output, "done").at(0).at("step");
  ASSERT_LT(stopped, 6);
  EXPECT_EQ(events(run_.output, "eval").size(), static_cast<std::size_t>(stopped - 1));
  const ProcessResult second = run_.go();
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(steps_of(run_.output, "eval"), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(Lifecycle, seldom_lines_of_metrics_leave_the_progress_as_it_is) {
  const ProcessResult result = go({"schedule.length=5 steps", "metrics.every=3"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(steps_of(run_.output, "step"), ElementsAre(3, 5));
  EXPECT_THAT(result.out, HasSubstr("step 1/5"));
}

}  // namespace
}  // namespace bit::test
