// Signals, exit codes and what the program says about itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <new>

#include "cluster/agreement.h"
#include "launcher/config.h"
#include "launcher/errors.h"
#include "launcher/exit_code.h"
#include "launcher/signals.h"
#include "launcher/together.h"
#include "launcher/version.h"
#include "storage/file.h"
#include "storage/lock_file.h"
#include "storage/tfrecord.h"
#include "trainer/checkpointer.h"
#include "trainer/train_loop.h"

namespace bit::launcher {
namespace {

using ::testing::HasSubstr;

TEST(Signals, usr1_asks_for_one_checkpoint_and_no_stop) {
  SignalFlags flags;
  flags.install();
  EXPECT_FALSE(flags.take_checkpoint_request());
  raise(SIGUSR1);
  raise(SIGUSR1);
  EXPECT_TRUE(flags.take_checkpoint_request());
  EXPECT_FALSE(flags.take_checkpoint_request());
  EXPECT_FALSE(flags.stop_requested());
  EXPECT_STREQ(flags.stop_signal_name(), "");
}

TEST(Signals, usr2_term_and_int_ask_for_a_stop_by_name) {
  const std::pair<int, const char*> cases[] = {
      {SIGUSR2, "USR2"}, {SIGTERM, "TERM"}, {SIGINT, "INT"}};
  for (const auto& [number, name] : cases) {
    SignalFlags flags;
    flags.install();
    raise(number);
    EXPECT_TRUE(flags.stop_requested());
    EXPECT_STREQ(flags.stop_signal_name(), name);
  }
}

TEST(Signals, one_request_that_arrives_twice_is_one) {
  SignalFlags flags;
  flags.install(std::chrono::hours(1));
  raise(SIGTERM);
  raise(SIGTERM);
  EXPECT_STREQ(flags.stop_signal_name(), "TERM");
}

TEST(SignalsDeathTest, a_second_stop_ends_the_process_at_once) {
  EXPECT_EXIT(
      {
        SignalFlags flags;
        flags.install(std::chrono::milliseconds(0));
        raise(SIGUSR2);
        raise(SIGTERM);
      },
      testing::ExitedWithCode(128 + SIGTERM), "");
}

TEST(Signals, the_handlers_from_before_come_back) {
  struct sigaction before {};
  sigaction(SIGUSR2, nullptr, &before);
  {
    SignalFlags flags;
    flags.install();
  }
  struct sigaction after {};
  sigaction(SIGUSR2, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

template <typename Error>
void expect_exit(const Error& error, int code, const std::string& printed) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(report_and_exit_code("bit-test", std::make_exception_ptr(error)), code);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), printed);
}

TEST(ExitCodes, follow_from_the_failure) {
  expect_exit(storage::DataError("shard-3: record 7"), 65, "bit-test: error: shard-3: record 7\n");
  expect_exit(
      storage::StorageError(std::make_error_code(std::errc::no_space_on_device), "write", "x"), 74,
      "bit-test: error: write x: No space left on device\n");
  expect_exit(cluster::CommError("rank 3 is gone"), 76, "bit-test: error: rank 3 is gone\n");
  expect_exit(cluster::DisagreementError("binaries differ"), 3,
              "bit-test: error: binaries differ\n");
  expect_exit(trainer::NoCheckpointError("none is good"), 77, "bit-test: error: none is good\n");
  expect_exit(trainer::SaveError("no room"), 74, "bit-test: error: no room\n");
  expect_exit(storage::LockedError("LOCK is held by process 7"), 3,
              "bit-test: error: LOCK is held by process 7\n");
  expect_exit(trainer::DivergedError("loss is nan"), 78, "bit-test: error: loss is nan\n");
  expect_exit(trainer::ResumeMismatch("batch differs"), 2, "bit-test: error: batch differs\n");
  expect_exit(SharedFailure(74, "all ranks"), 74, "bit-test: error: all ranks\n");
  expect_exit(std::bad_alloc(), 70, "bit-test: error: out of memory\n");
  expect_exit(std::runtime_error("odd"), 70, "bit-test: error: unexpected: odd\n");
  expect_exit(3, 70, "bit-test: error: unexpected: a failure without a description\n");
}

TEST(ExitCodes, mistakes_are_listed_before_the_final_line) {
  std::vector<ConfigMistake> mistakes = {{"x.yaml:1:2", "a"}};
  expect_exit(ConfigError(mistakes), 2, "bit-test: error: x.yaml:1:2: a\n");
  mistakes.push_back({"x.yaml:3:4", "b"});
  expect_exit(ConfigError(mistakes), 2,
              "x.yaml:1:2: a\nx.yaml:3:4: b\n"
              "bit-test: error: 2 mistakes in the configuration; nothing was started\n");
}

TEST(ExitCodes, the_cause_is_the_last_line) {
  const auto failure = std::make_exception_ptr(trainer::NoCheckpointError("details\nadvice\nnone"));
  EXPECT_EQ(cause_of(failure), "none");
  EXPECT_EQ(message_of(failure), "details\nadvice\nnone");
}

TEST(ExitCodes, only_failures_that_all_ranks_meet_are_shared) {
  EXPECT_TRUE(is_shared(std::make_exception_ptr(SharedFailure(2, ""))));
  EXPECT_TRUE(is_shared(std::make_exception_ptr(cluster::DisagreementError(""))));
  EXPECT_TRUE(is_shared(std::make_exception_ptr(trainer::SaveError(""))));
  EXPECT_FALSE(is_shared(std::make_exception_ptr(storage::DataError(""))));
  EXPECT_FALSE(is_shared(std::make_exception_ptr(cluster::CommError(""))));
}

TEST(Version, names_program_compiler_and_libraries) {
  EXPECT_THAT(version_line(), testing::MatchesRegex("bit [0-9]+\\.[0-9]+\\.[0-9]+ \\(.+\\)"));
  EXPECT_THAT(version_text(), HasSubstr("LibTorch"));
  EXPECT_THAT(version_text(), HasSubstr("MPI"));
}

}  // namespace
}  // namespace bit::launcher
