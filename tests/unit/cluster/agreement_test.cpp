// Ranks that hold different values are told so, all in the same words.
#include "cluster/agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "cluster/self_communicator.h"
#include "cluster/thread_communicator.h"

namespace bit::cluster {
namespace {

using testing::HasSubstr;

// The messages that `ranks` ranks end with when rank r holds value(r).
template <typename Value>
std::multiset<std::string> messages(int ranks, Value value) {
  std::mutex mutex;
  std::multiset<std::string> all;
  run_ranks_as_threads(ranks, [&](Communicator& communicator) {
    try {
      require_agreement(communicator, "configuration", value(communicator.rank()));
    } catch (const DisagreementError& error) {
      const std::lock_guard lock(mutex);
      all.insert(error.what());
    }
  });
  return all;
}

TEST(Agreement, equal_values_pass) {
  EXPECT_TRUE(messages(4, [](int) { return "5f3a"; }).empty());
  EXPECT_TRUE(messages(4, [](int) { return ""; }).empty());
  EXPECT_NO_THROW(require_agreement(*make_self_communicator(), "configuration", "5f3a"));
}

TEST(Agreement, a_rank_that_differs_is_named_on_every_rank_with_both_values) {
  const auto all = messages(4, [](int rank) { return rank == 2 ? "bad1" : "5f3a"; });
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all.count(*all.begin()), 4u) << "ranks say different things";
  const std::string host = make_self_communicator()->host();
  EXPECT_EQ(*all.begin(), "  rank 0 on " + host + ": 5f3a\n  rank 2 on " + host +
                              ": bad1\nconfiguration differs between ranks");
}

TEST(Agreement, of_long_values_only_the_lines_that_differ_are_shown) {
  const auto all = messages(2, [](int rank) {
    return std::string("batch: 16\nseed=") + (rank == 0 ? "0" : "9\nthreads=1") + "\nmodel: R50x1";
  });
  const std::string host = make_self_communicator()->host();
  EXPECT_EQ(*all.begin(), "  rank 0 on " + host + ": seed=0\n  rank 1 on " + host +
                              ": seed=9 | threads=1\nconfiguration differs between ranks");
}

TEST(Agreement, a_rank_that_only_lacks_something_says_so) {
  const auto all = messages(2, [](int rank) { return rank == 0 ? "a\nb" : "a"; });
  EXPECT_THAT(*all.begin(), HasSubstr(": b\n"));
  EXPECT_THAT(*all.begin(), HasSubstr(": (nothing that the other lacks)\n"));
}

TEST(Agreement, a_value_that_starts_like_the_others_differs) {
  EXPECT_EQ(messages(2, [](int rank) { return rank == 0 ? "5f3a" : "5f3"; }).size(), 2u);
}

TEST(Agreement, of_many_that_differ_the_first_are_listed_and_the_rest_counted) {
  const auto all = messages(20, [](int rank) { return std::to_string(rank); });
  EXPECT_THAT(*all.begin(), HasSubstr("rank 16 on"));
  EXPECT_THAT(*all.begin(), testing::Not(HasSubstr("rank 17 on")));
  EXPECT_THAT(*all.begin(), HasSubstr("and 3 more ranks"));
}

}  // namespace
}  // namespace bit::cluster
