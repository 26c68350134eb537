// Ranks as processes under a real mpirun: values, deadlines, and how a failing rank ends the
// others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launcher/exit_code.h"
#include "tests/support/process.h"

namespace {

using bit::test::ProcessResult;
using bit::test::run_process;
using testing::HasSubstr;

// Open MPI refuses root and more ranks than cores unless told otherwise.
ProcessResult run_ranks(int ranks, const std::string& mode) {
  return run_process({"mpirun", "-n", std::to_string(ranks), "--oversubscribe", "--bind-to", "none",
                      BIT_MPI_COLLECTIVES, mode},
                     {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}});
}

class MpiRanks : public testing::TestWithParam<int> {};

TEST_P(MpiRanks, give_the_right_values_in_every_collective) {
  const auto result = run_ranks(GetParam(), "values");
  EXPECT_EQ(result.exit_code, bit::launcher::kDone) << result.err;
  const std::string name = GetParam() == 1 ? "self" : "mpi";
  EXPECT_EQ(result.out, name + " communicator of " + std::to_string(GetParam()) + "\n");
}

INSTANTIATE_TEST_SUITE_P(Mpi, MpiRanks, testing::Values(1, 2, 4));

TEST(Mpi, collectives_that_are_too_long_for_one_call_are_split) {
  const auto result = run_ranks(3, "split");
  EXPECT_EQ(result.exit_code, bit::launcher::kDone) << result.err;
}

TEST(Mpi, without_mpirun_it_is_a_run_of_one) {
  const auto result = run_process({BIT_MPI_COLLECTIVES, "values"});
  EXPECT_EQ(result.exit_code, bit::launcher::kDone) << result.err;
  EXPECT_EQ(result.out, "self communicator of 1\n");
}

TEST(Mpi, a_rank_that_does_not_take_part_is_an_error_after_the_deadline) {
  const auto result = run_ranks(2, "stuck");
  EXPECT_EQ(result.exit_code, bit::launcher::kCommLost) << result.err;
  EXPECT_THAT(result.err, HasSubstr("rank 0 on "));
  EXPECT_THAT(result.err, HasSubstr("barrier: did not finish within 300 ms"));
}

TEST(Mpi, duplicating_has_the_deadline_too) {
  const auto result = run_ranks(2, "stuck-duplicate");
  EXPECT_EQ(result.exit_code, bit::launcher::kCommLost) << result.err;
  EXPECT_THAT(result.err, HasSubstr("duplicate: did not finish within 300 ms"));
}

TEST(Mpi, abort_ends_all_ranks_with_the_code) {
  const auto result = run_ranks(2, "abort");
  EXPECT_EQ(result.exit_code, bit::launcher::kStorage) << result.err;
}

TEST(Mpi, a_rank_that_ends_by_an_exception_ends_the_others_with_its_code) {
  const auto result = run_ranks(3, "exception");
  EXPECT_EQ(result.exit_code, bit::launcher::kDataUnusable) << result.err;
  EXPECT_THAT(result.err, HasSubstr("record 17 is broken"));
}

TEST(Mpi, ranks_that_disagree_say_so_and_end_with_the_code_for_preflight) {
  const auto result = run_ranks(2, "disagree");
  EXPECT_EQ(result.exit_code, bit::launcher::kPreflight) << result.err;
  EXPECT_THAT(result.err, HasSubstr("dataset hash differs between ranks\n"));
  EXPECT_THAT(result.err, HasSubstr(": aaaa"));
  EXPECT_THAT(result.err, HasSubstr("rank 1 on "));
  EXPECT_THAT(result.err, HasSubstr(": bbbb"));
}

}  // namespace
