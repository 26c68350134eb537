// Saves by several ranks, and which checkpoint is left to go on from.
#include "trainer/checkpointer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>

#include "cluster/thread_communicator.h"
#include "storage/file.h"
#include "tests/support/temp_directory.h"

namespace bit::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CheckpointerTest : public testing::Test {
 protected:
  // Three ranks save at `step`; their reports.
  std::vector<CheckpointReport> save(std::uint64_t step) {
    std::mutex mutex;
    std::vector<CheckpointReport> reports;
    cluster::run_ranks_as_threads(3, [&](cluster::Communicator& communicator) {
      Checkpointer checkpointer(storage::CheckpointStore(storage::posix_file_system(), path_),
                                communicator.duplicate(), 5);
      schemas::CheckpointManifest manifest;
      manifest.set_step(step);
      checkpointer.start({{"model/a", at::ones({7})}, {"model/b", at::ones({5})}}, manifest);
      const auto report = checkpointer.drain();
      const std::lock_guard lock(mutex);
      reports.push_back(report.value());
    });
    return reports;
  }

  test::TempDirectory directory_;
  std::string path_ = directory_ / "checkpoints";
  storage::CheckpointStore store_{storage::posix_file_system(), path_};
};

TEST_F(CheckpointerTest, all_ranks_report_the_same_save) {
  for (const auto& report : save(4)) {
    EXPECT_TRUE(report.ok) << report.error;
    EXPECT_EQ(report.path, store_.path(4));
  }
  EXPECT_TRUE(store_.validate(4, nullptr).has_value());
}

TEST_F(CheckpointerTest, a_failed_save_has_one_cause_on_all_ranks_and_no_other_error_in_it) {
  std::filesystem::remove_all(path_);
  storage::write_file_atomically(storage::posix_file_system(), path_ + ".x", "");
  const auto reports = [&] {
    std::mutex mutex;
    std::vector<CheckpointReport> all;
    cluster::run_ranks_as_threads(2, [&](cluster::Communicator& communicator) {
      Checkpointer checkpointer(storage::CheckpointStore(storage::posix_file_system(), path_),
                                communicator.duplicate(), 5);
      communicator.barrier();
      if (communicator.rank() == 0) {
        std::filesystem::remove_all(path_);
        std::filesystem::rename(path_ + ".x", path_);  // a file where the directory was
      }
      communicator.barrier();
      schemas::CheckpointManifest manifest;
      manifest.set_step(1);
      checkpointer.start({{"model/a", at::ones({7})}}, manifest);
      const auto report = checkpointer.drain();
      const std::lock_guard lock(mutex);
      all.push_back(report.value());
    });
    return all;
  }();
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_FALSE(reports[0].ok);
  EXPECT_EQ(reports[0].error, reports[1].error);
  EXPECT_THAT(reports[0].error, HasSubstr("Not a directory"));
}

TEST_F(CheckpointerTest, a_state_whose_next_step_fails_is_set_aside) {
  save(4);
  save(8);
  EXPECT_THAT(set_aside_before(store_, 9, "the loss is not finite"), HasSubstr(store_.path(4)));
  EXPECT_THAT(store_.steps(), ElementsAre(4));
  EXPECT_THAT(
      storage::read_file(storage::posix_file_system(), path_ + "/corrupt-step-000000000008/REASON"),
      HasSubstr("the loss is not finite"));
}

TEST_F(CheckpointerTest, a_state_that_made_a_good_step_since_stays) {
  save(4);
  save(8);
  EXPECT_THAT(set_aside_before(store_, 10, "the loss is not finite"), HasSubstr(store_.path(8)));
  EXPECT_THAT(store_.steps(), ElementsAre(4, 8));
}

TEST_F(CheckpointerTest, the_only_checkpoint_is_never_set_aside) {
  EXPECT_THAT(set_aside_before(store_, 1, ""), HasSubstr("there is no checkpoint yet"));
  save(4);
  EXPECT_THAT(set_aside_before(store_, 5, ""), HasSubstr("the only checkpoint, " + store_.path(4)));
  EXPECT_THAT(store_.steps(), ElementsAre(4));
}

}  // namespace
}  // namespace bit::trainer
