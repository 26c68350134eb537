// Killed anywhere, the same command goes on, exactly.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <random>

#include "tests/integration/run_support.h"

namespace bit::test {
namespace {

std::size_t steps_done(const std::string& output) { return events(output, "step").size(); }

TEST(Resume, after_ten_kills_of_all_ranks_the_weights_are_bit_identical) {
  const TempDirectory directory;
  const std::vector<std::string> long_run = {"schedule.length=200 steps",
                                             "checkpoint.every=7 steps"};
  TinyRun whole{.output = directory / "whole", .overrides = long_run, .ranks = 2};
  ASSERT_EQ(whole.go().exit_code, 0);

  TinyRun killed{.output = directory / "killed", .overrides = long_run, .ranks = 2};
  std::mt19937 random(20260101);
  for (int kill = 0; kill < 10; ++kill) {
    const auto process = killed.start();
    // Any moment from before the first step to well into the run, whatever is being written then.
    const std::size_t target =
        std::min<std::size_t>(195, steps_done(killed.output) + random() % 19);
    ASSERT_TRUE(
        eventually([&] { return !process->running() || steps_done(killed.output) >= target; }));
    ASSERT_TRUE(process->running()) << process->wait().err;
    kill_all_with(killed.output);
  }
  const ProcessResult last = killed.go();
  ASSERT_EQ(last.exit_code, 0) << last.err;

  EXPECT_EQ(file_bytes(killed.output + "/model.safetensors"),
            file_bytes(whole.output + "/model.safetensors"));
  EXPECT_FALSE(file_bytes(whole.output + "/model.safetensors").empty());
  EXPECT_EQ(json_lines(killed.output + "/order.jsonl"), json_lines(whole.output + "/order.jsonl"));
  const auto steps = events(killed.output, "step");
  const auto expected = events(whole.output, "step");
  ASSERT_EQ(steps.size(), 200u);
  for (std::size_t i = 0; i < 200; ++i) {
    EXPECT_EQ(steps[i].at("step"), i + 1);
    EXPECT_EQ(steps[i].at("loss"), expected[i].at("loss")) << "step " << i + 1;
  }
}

TEST(Resume, on_other_numbers_of_ranks_sees_the_same_samples_in_every_step) {
  const TempDirectory directory;
  TinyRun whole{
      .output = directory / "whole", .overrides = {"schedule.length=30 steps"}, .ranks = 1};
  ASSERT_EQ(whole.go().exit_code, 0);

  TinyRun moved{.output = directory / "moved", .overrides = {"schedule.length=30 steps"}};
  for (const int ranks : {2, 4}) {
    moved.ranks = ranks;
    const auto process = moved.start();
    const std::size_t target = steps_done(moved.output) + 12;
    ASSERT_TRUE(
        eventually([&] { return !process->running() || steps_done(moved.output) >= target; }));
    ASSERT_TRUE(process->running()) << process->wait().err;
    kill_all_with(moved.output);
  }
  moved.ranks = 1;
  const ProcessResult last = moved.go();
  ASSERT_EQ(last.exit_code, 0) << last.err;
  EXPECT_EQ(json_lines(moved.output + "/order.jsonl"), json_lines(whole.output + "/order.jsonl"));
}

TEST(Signals, usr1_writes_a_checkpoint_and_goes_on) {
  const TempDirectory directory;
  TinyRun run{.output = directory / "run",
              .overrides = {"checkpoint.every=1000 steps", "schedule.length=60 steps"},
              .ranks = 2};
  const auto process = run.start();
  ASSERT_TRUE(eventually([&] { return steps_done(run.output) >= 5; }));
  process->signal(SIGUSR1);  // mpirun passes it on to every rank
  ASSERT_TRUE(
      eventually([&] { return !events(run.output, "checkpoint").empty() || !process->running(); }));
  const ProcessResult result = process->wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto checkpoints = events(run.output, "checkpoint");
  ASSERT_EQ(checkpoints.size(), 2u) << "one for the signal, one at the end";
  EXPECT_LT(checkpoints[0].at("step"), 60);
  EXPECT_EQ(steps_done(run.output), 60u);
}

TEST(Signals, usr2_writes_a_checkpoint_and_exits_75_and_the_same_command_goes_on) {
  const TempDirectory directory;
  TinyRun run{.output = directory / "run",
              .overrides = {"checkpoint.every=1000 steps", "schedule.length=40 steps"},
              .ranks = 2};
  const auto process = run.start();
  ASSERT_TRUE(eventually([&] { return steps_done(run.output) >= 5; }));
  process->signal(SIGUSR2);
  EXPECT_EQ(process->wait().exit_code, 75);
  const auto done = events(run.output, "done");
  ASSERT_EQ(done.size(), 1u);
  EXPECT_LT(done[0].at("step"), 40);
  EXPECT_FALSE(std::filesystem::exists(run.output + "/model.safetensors"));
  const ProcessResult second = run.go();
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(steps_done(run.output), 40u);
  EXPECT_TRUE(std::filesystem::exists(run.output + "/model.safetensors"));
}

TEST(Signals, term_of_a_run_of_one_checkpoints_and_exits_75) {
  const TempDirectory directory;
  TinyRun run{.output = directory / "run",
              .overrides = {"checkpoint.every=1000 steps", "schedule.length=2000 steps"}};
  auto argv = run.command();
  argv.erase(argv.begin(), argv.begin() + 3);  // no mpirun
  Process process(argv, mpi_environment());
  ASSERT_TRUE(eventually([&] { return steps_done(run.output) >= 3; }));
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait().exit_code, 75);
  EXPECT_EQ(events(run.output, "checkpoint").size(), 1u);
}

TEST(Resume, a_complete_run_says_so_and_changes_nothing) {
  const TempDirectory directory;
  TinyRun run{.output = directory / "run"};
  ASSERT_EQ(run.go().exit_code, 0);
  const std::string weights = file_bytes(run.output + "/model.safetensors");
  const std::string metrics = file_bytes(run.output + "/metrics.jsonl");
  const ProcessResult again = run.go();
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_NE((again.out + again.err).find("already complete"), std::string::npos)
      << again.out << again.err;
  EXPECT_EQ(file_bytes(run.output + "/model.safetensors"), weights);
  EXPECT_EQ(file_bytes(run.output + "/metrics.jsonl"), metrics);
  EXPECT_EQ(steps_done(run.output), 20u);
}

TEST(Resume, a_damaged_newest_checkpoint_is_set_aside_and_the_older_one_used) {
  const TempDirectory directory;
  TinyRun whole{.output = directory / "whole"};
  ASSERT_EQ(whole.go().exit_code, 0);
  TinyRun run{.output = directory / "run"};
  ASSERT_EQ(run.go().exit_code, 0);
  std::filesystem::remove(run.output + "/model.safetensors");
  for (const auto& file :
       std::filesystem::directory_iterator(run.output + "/checkpoints/step-000000000020")) {
    if (file.path().extension() == ".safetensors")
      std::filesystem::resize_file(file.path(), file.file_size() - 1);
  }
  const ProcessResult again = run.go();
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(std::filesystem::exists(run.output + "/checkpoints/corrupt-step-000000000020"));
  EXPECT_EQ(file_bytes(run.output + "/model.safetensors"),
            file_bytes(whole.output + "/model.safetensors"));
}

TEST(Resume, without_any_good_checkpoint_exits_77_and_touches_nothing) {
  const TempDirectory directory;
  TinyRun run{.output = directory / "run"};
  ASSERT_EQ(run.go().exit_code, 0);
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(run.output + "/checkpoints")) {
    if (entry.path().extension() == ".safetensors") std::filesystem::resize_file(entry.path(), 100);
  }
  const ProcessResult again = run.go();
  EXPECT_EQ(again.exit_code, 77);
  EXPECT_NE(again.err.find("step-000000000020"), std::string::npos) << again.err;
  EXPECT_NE(again.err.find("bit-launch: error: no checkpoint in " + run.output), std::string::npos)
      << again.err;
  EXPECT_TRUE(std::filesystem::exists(run.output + "/checkpoints/step-000000000010"));
  EXPECT_TRUE(std::filesystem::exists(run.output + "/checkpoints/step-000000000020"));
}

}  // namespace
}  // namespace bit::test
