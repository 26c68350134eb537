// The collectives of the thread communicator and of a run of one; mpi_collectives.cpp asks the same
// of MPI.
#include "cluster/communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <numeric>
#include <thread>

#include "cluster/self_communicator.h"
#include "cluster/thread_communicator.h"
#include "tests/support/collectives_suite.h"

namespace bit::cluster {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// what() of the CommError that `body` ends with.
template <typename Body>
std::string comm_error(Body body) {
  try {
    body();
  } catch (const CommError& error) {
    return error.what();
  }
  return "no CommError";
}

class ThreadRanks : public testing::TestWithParam<int> {};

TEST_P(ThreadRanks, give_the_right_values_in_every_collective) {
  std::mutex mutex;
  std::vector<std::string> failures;
  run_ranks_as_threads(GetParam(), [&](Communicator& communicator) {
    const auto failed = test::check_collectives(communicator);
    const std::lock_guard lock(mutex);
    failures.insert(failures.end(), failed.begin(), failed.end());
  });
  EXPECT_THAT(failures, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(CommunicatorTest, ThreadRanks, testing::Values(1, 2, 3, 4));

TEST(SelfCommunicator, gives_the_right_values_in_every_collective) {
  const auto communicator = make_self_communicator();
  EXPECT_EQ(communicator->size(), 1);
  EXPECT_EQ(communicator->rank(), 0);
  EXPECT_STREQ(communicator->name(), "self");
  EXPECT_FALSE(communicator->host().empty());
  EXPECT_THAT(test::check_collectives(*communicator), testing::IsEmpty());
}

TEST(SelfCommunicator, abort_ends_the_process_with_the_code) {
  EXPECT_EXIT(make_self_communicator()->abort(74), testing::ExitedWithCode(74), "");
}

TEST(ThreadCommunicator, sums_in_rank_order) {
  // 1e8 + 1 - 1e8 depends on the order in float: ((1e8 + 1) - 1e8) + 1 = 1.
  const std::vector<float> values{1e8f, 1.0f, -1e8f, 1.0f};
  run_ranks_as_threads(4, [&](Communicator& communicator) {
    std::vector<float> sum{values[static_cast<std::size_t>(communicator.rank())]};
    communicator.all_reduce(sum);
    EXPECT_EQ(sum[0], ((values[0] + values[1]) + values[2]) + values[3]);
  });
}

TEST(ThreadCommunicator, a_collective_is_pending_until_the_last_rank_starts_it) {
  std::atomic<bool> tested = false;
  run_ranks_as_threads(2, [&](Communicator& communicator) {
    std::vector<float> value{1.0f};
    if (communicator.rank() == 1) tested.wait(false);
    const auto pending =
        communicator.start_all_reduce(value.data(), 1, ReduceType::kF32, ReduceOp::kSum);
    if (communicator.rank() == 0) {
      EXPECT_FALSE(pending->test());
      tested = true;
      tested.notify_all();
    }
    pending->wait();
    EXPECT_TRUE(pending->test());
    EXPECT_EQ(value[0], 2.0f);
  });
}

TEST(ThreadCommunicator, a_failing_rank_ends_the_waits_of_the_others_naming_it) {
  std::atomic<int> told = 0;
  const auto body = [&](Communicator& communicator) {
    if (communicator.rank() == 2) throw std::logic_error("shard 7 is missing");
    const std::string error = comm_error([&] { communicator.barrier(); });
    EXPECT_THAT(error, HasSubstr("rank 2"));
    EXPECT_THAT(error, HasSubstr("shard 7 is missing"));
    // And so does everything that is started later, on duplicates too.
    EXPECT_THAT(comm_error([&] { communicator.duplicate(); }), HasSubstr("rank 2"));
    ++told;
  };
  EXPECT_THROW(run_ranks_as_threads(4, body), std::logic_error);
  EXPECT_EQ(told, 3);
}

TEST(ThreadCommunicator, the_cause_is_rethrown_rather_than_its_consequences) {
  const auto body = [](Communicator& communicator) {
    if (communicator.rank() == 1) throw std::out_of_range("the cause");
    communicator.barrier();
  };
  EXPECT_THROW(run_ranks_as_threads(3, body), std::out_of_range);
}

TEST(ThreadCommunicator, of_several_causes_the_lowest_rank_is_rethrown) {
  const auto body = [](Communicator& communicator) {
    communicator.barrier();
    throw std::runtime_error("rank " + std::to_string(communicator.rank()));
  };
  try {
    run_ranks_as_threads(3, body);
    FAIL() << "no error";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "rank 0");
  }
}

TEST(ThreadCommunicator, a_rank_that_does_not_take_part_is_named_after_the_deadline) {
  std::string error;
  run_ranks_as_threads(
      3,
      [&](Communicator& communicator) {
        if (communicator.rank() == 1) return;
        const std::string what = comm_error([&] { communicator.barrier(); });
        if (communicator.rank() == 0) error = what;
      },
      milliseconds(50));
  EXPECT_THAT(error, HasSubstr("within 50 ms"));
  EXPECT_THAT(error, HasSubstr("not started by rank 1"));
}

TEST(ThreadCommunicator, different_collectives_at_the_same_time_are_an_error) {
  const auto body = [](Communicator& communicator) {
    std::vector<float> values(static_cast<std::size_t>(communicator.rank()) + 1);
    communicator.all_reduce(values);
  };
  EXPECT_THAT(comm_error([&] { run_ranks_as_threads(2, body); }), HasSubstr("all_reduce of size"));
}

TEST(ThreadCommunicator, a_collective_that_is_given_up_is_an_error_for_the_others) {
  std::atomic<bool> dropped = false;
  run_ranks_as_threads(2, [&](Communicator& communicator) {
    if (communicator.rank() == 1) {
      communicator.start_barrier();
      dropped = true;
      dropped.notify_all();
    } else {
      dropped.wait(false);
      EXPECT_THAT(comm_error([&] { communicator.barrier(); }), HasSubstr("rank 1 gave up barrier"));
    }
  });
}

TEST(ThreadCommunicator, wrong_arguments_are_refused) {
  run_ranks_as_threads(2, [](Communicator& communicator) {
    std::vector<std::byte> bytes(3);
    EXPECT_THROW(communicator.broadcast(bytes, 2), std::invalid_argument);
    EXPECT_THROW(communicator.broadcast(bytes, -1), std::invalid_argument);
    EXPECT_THROW(communicator.start_all_gather(bytes, bytes), std::invalid_argument);
  });
  EXPECT_THROW(run_ranks_as_threads(0, [](Communicator&) {}), std::invalid_argument);
}

}  // namespace
}  // namespace bit::cluster
