#include "trainer/gradient_reducer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>

#include "cluster/self_communicator.h"
#include "cluster/thread_communicator.h"
#include "trainer/initialization.h"
#include "trainer/loss.h"
#include "trainer/optimizer.h"

namespace bit::trainer {
namespace {

using cluster::Communicator;

// --- the plan

TEST(BucketPlan, holds_every_parameter_once_in_ready_order_within_its_limits) {
  std::vector<std::uint64_t> bytes;
  for (std::uint64_t i = 0; i < 60; ++i) bytes.push_back(1 + (i * 7919) % 97);
  std::vector<std::size_t> order(bytes.size());
  std::iota(order.rbegin(), order.rend(), 0U);
  const ReducerOptions options{.first_bucket_bytes = 60, .bucket_bytes = 200};
  const auto buckets = plan_buckets(bytes, order, options);
  std::vector<std::size_t> seen;
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    std::uint64_t sum = 0;
    for (const std::size_t parameter : buckets[b].parameters) sum += bytes[parameter];
    EXPECT_EQ(buckets[b].bytes, sum);
    EXPECT_FALSE(buckets[b].parameters.empty());
    EXPECT_TRUE(buckets[b].parameters.size() == 1 || sum <= (b == 0 ? 60U : 200U)) << sum;
    seen.insert(seen.end(), buckets[b].parameters.begin(), buckets[b].parameters.end());
  }
  EXPECT_EQ(seen, order);
}

TEST(BucketPlan, leaves_a_large_parameter_alone) {
  const auto buckets = plan_buckets({10, 1000, 10, 10}, {0, 1, 2, 3},
                                    {.first_bucket_bytes = 100, .bucket_bytes = 200});
  ASSERT_EQ(buckets.size(), 3U);
  EXPECT_EQ(buckets[0].parameters, std::vector<std::size_t>{0});
  EXPECT_EQ(buckets[1].parameters, std::vector<std::size_t>{1});
  EXPECT_EQ(buckets[2].parameters, (std::vector<std::size_t>{2, 3}));
}

// --- sums of the gradients of a few leaves

std::vector<Parameter> leaves(int count) {
  std::vector<Parameter> parameters;
  for (int i = 0; i < count; ++i) {
    at::Tensor value = at::full({5 + i, 3}, 1.0F + static_cast<float>(i));
    parameters.push_back({"leaf" + std::to_string(i), value.set_requires_grad(true), true});
  }
  return parameters;
}

// Its gradient with respect to leaf i is factor * (i + 1) everywhere.
at::Tensor weighted_sum(const std::vector<Parameter>& parameters, double factor) {
  at::Tensor sum = at::zeros({});
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    sum = sum + factor * static_cast<double>(i + 1) * parameters[i].value.sum();
  }
  return sum;
}

bool is_full(const at::Tensor& tensor, double value) {
  return tensor.defined() && at::allclose(tensor, at::full_like(tensor, value), 1e-6, 0);
}

constexpr ReducerOptions kSmallBuckets{.first_bucket_bytes = 64, .bucket_bytes = 256};

class ReducedOverRanks : public testing::TestWithParam<int> {};

TEST_P(ReducedOverRanks, gradients_are_the_sums_in_every_step) {
  const int ranks = GetParam();
  cluster::run_ranks_as_threads(ranks, [ranks](Communicator& communicator) {
    const std::vector<Parameter> parameters = leaves(9);
    GradientReducer reducer(communicator, parameters, kSmallBuckets);
    const int sum_of_ranks = ranks * (ranks + 1) / 2;
    for (int step = 1; step <= 4; ++step) {
      reducer.begin();
      weighted_sum(parameters, step * (communicator.rank() + 1)).backward();
      reducer.finish();
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        const double expected = 1.0 * step * sum_of_ranks * static_cast<double>(i + 1);
        EXPECT_TRUE(is_full(parameters[i].value.grad(), expected)) << step << " " << i;
        parameters[i].value.mutable_grad() = at::Tensor();
      }
    }
  });
}

TEST_P(ReducedOverRanks, gradients_of_several_micro_steps_travel_once) {
  const int ranks = GetParam();
  cluster::run_ranks_as_threads(ranks, [ranks](Communicator& communicator) {
    const std::vector<Parameter> parameters = leaves(4);
    GradientReducer reducer(communicator, parameters, kSmallBuckets);
    for (int step = 0; step < 2; ++step) {
      weighted_sum(parameters, 1).backward();
      weighted_sum(parameters, 10).backward();
      reducer.begin();
      weighted_sum(parameters, 100).backward();
      reducer.finish();
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        EXPECT_TRUE(
            is_full(parameters[i].value.grad(), 111.0 * ranks * static_cast<double>(i + 1)));
        parameters[i].value.mutable_grad() = at::Tensor();
      }
    }
  });
}

// 1 + 64 / 256 is not a bf16 number: added up in bf16 the small gradients would be lost.
TEST_P(ReducedOverRanks, gradients_of_bf16_leaves_are_added_up_in_fp32) {
  const int ranks = GetParam();
  cluster::run_ranks_as_threads(ranks, [ranks](Communicator& communicator) {
    std::vector<Parameter> parameters = leaves(2);
    for (Parameter& parameter : parameters) {
      parameter.standardized = parameter.value.detach().to(at::kBFloat16).set_requires_grad(true);
    }
    GradientReducer reducer(communicator, parameters, kSmallBuckets);
    const auto backward = [&](double factor) {
      for (const Parameter& parameter : parameters) (factor * parameter.leaf().sum()).backward();
    };
    backward(1);
    for (int i = 0; i < 63; ++i) backward(1.0 / 256);
    reducer.begin();
    backward(1.0 / 256);
    reducer.finish();
    for (const Parameter& parameter : parameters) {
      EXPECT_TRUE(is_full(parameter.leaf().grad(), 1.25 * ranks));
      EXPECT_EQ(parameter.leaf().grad().scalar_type(), at::kFloat);
    }
  });
}

TEST_P(ReducedOverRanks, a_parameter_that_a_rank_does_not_use_counts_as_zero_there) {
  const int ranks = GetParam();
  cluster::run_ranks_as_threads(ranks, [ranks](Communicator& communicator) {
    const std::vector<Parameter> parameters = leaves(5);
    GradientReducer reducer(communicator, parameters, kSmallBuckets);
    for (int step = 0; step < 3; ++step) {
      reducer.begin();
      // Rank r leaves leaf r out; leaf 4 is used by nobody.
      at::Tensor sum = at::zeros({});
      for (int i = 0; i < 4; ++i) {
        if (i != communicator.rank())
          sum = sum + parameters[static_cast<std::size_t>(i)].value.sum();
      }
      sum.backward();
      reducer.finish();
      for (int i = 0; i < 5; ++i) {
        const double users = i == 4 ? 0 : i < ranks ? ranks - 1 : ranks;
        at::Tensor value = parameters[static_cast<std::size_t>(i)].value;
        EXPECT_TRUE(is_full(value.grad(), users)) << i;
        value.mutable_grad() = at::Tensor();
      }
    }
  });
}

TEST_P(ReducedOverRanks, the_order_is_rank_0s_on_all_ranks_and_stays) {
  const int ranks = GetParam();
  std::mutex mutex;
  std::set<std::vector<std::string>> orders;
  cluster::run_ranks_as_threads(ranks, [&](Communicator& communicator) {
    const std::vector<Parameter> parameters = leaves(6);
    GradientReducer reducer(communicator, parameters, kSmallBuckets);
    EXPECT_TRUE(reducer.ready_order().empty());
    std::vector<std::string> first;
    for (int step = 0; step < 3; ++step) {
      // The ranks become ready in different orders.
      std::vector<Parameter> turned = parameters;
      std::rotate(turned.begin(), turned.begin() + (communicator.rank() + step) % 6, turned.end());
      reducer.begin();
      weighted_sum(turned, 1).backward();
      reducer.finish();
      if (step == 0) first = reducer.ready_order();
      for (const Parameter& parameter : parameters) {
        at::Tensor value = parameter.value;
        value.mutable_grad() = at::Tensor();
      }
    }
    EXPECT_EQ(reducer.ready_order(), first);
    EXPECT_EQ(first.size(), 6U);
    std::vector<std::string> in_buckets;
    for (const auto& bucket : reducer.buckets()) {
      for (const std::size_t i : bucket.parameters) in_buckets.push_back(parameters[i].name);
    }
    EXPECT_EQ(in_buckets, first);
    const GradientReducer resumed(communicator, parameters, kSmallBuckets, first);
    EXPECT_EQ(resumed.ready_order(), first);
    EXPECT_EQ(resumed.buckets().size(), reducer.buckets().size());
    const std::lock_guard lock(mutex);
    orders.insert(first);
  });
  EXPECT_EQ(orders.size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Ranks, ReducedOverRanks, testing::Values(1, 2, 4));

TEST(Reducer, refuses_an_order_of_other_parameters) {
  const auto communicator = cluster::make_self_communicator();
  const std::vector<Parameter> parameters = leaves(2);
  auto reducer_with = [&](const std::vector<std::string>& order) {
    GradientReducer reducer(*communicator, parameters, {}, order);
  };
  EXPECT_THROW(reducer_with({"leaf0"}), std::invalid_argument);
  EXPECT_THROW(reducer_with({"leaf0", "leaf0"}), std::invalid_argument);
  EXPECT_THROW(reducer_with({"leaf0", "other"}), std::invalid_argument);
  EXPECT_NO_THROW(reducer_with({"leaf1", "leaf0"}));
}

TEST(Reducer, leaves_the_gradients_alone_after_it_is_gone) {
  const auto communicator = cluster::make_self_communicator();
  const std::vector<Parameter> parameters = leaves(2);
  { GradientReducer reducer(*communicator, parameters); }
  weighted_sum(parameters, 3).backward();
  EXPECT_TRUE(is_full(parameters[1].value.grad(), 6));
}

TEST(Reducer, ends_with_the_error_of_a_rank_that_fails) {
  EXPECT_THROW(cluster::run_ranks_as_threads(2,
                                             [](Communicator& communicator) {
                                               const std::vector<Parameter> parameters = leaves(3);
                                               GradientReducer reducer(communicator, parameters,
                                                                       kSmallBuckets);
                                               reducer.begin();
                                               if (communicator.rank() == 1)
                                                 throw std::runtime_error("rank 1 is gone");
                                               weighted_sum(parameters, 1).backward();
                                               reducer.finish();
                                             }),
               std::runtime_error);
}

// --- the same learning for any number of ranks

constexpr std::int64_t kGlobalBatch = 8;
constexpr int kSteps = 4;

at::Tensor global_images(int step) {
  at::Tensor values = at::empty({kGlobalBatch, 32, 32, 3}, at::kFloat);
  he_normal(values.view({2, -1, 1, 1}), 5, static_cast<std::uint64_t>(step));
  return (values * 50 + 127).clamp(0, 255).to(at::kByte);
}

// Mean losses of the global batches.
std::vector<double> train(int ranks) {
  std::vector<double> losses(kSteps);
  cluster::run_ranks_as_threads(ranks, [&](Communicator& communicator) {
    at::set_num_threads(1);
    const auto reducer_ranks = communicator.duplicate();
    const ResNetV2 model(parse_model_name("R26x0.5", 10), Precision::kFp32, 1);
    GradientReducer reducer(*reducer_ranks, model.parameters(),
                            {.first_bucket_bytes = 1 << 16, .bucket_bytes = 1 << 20});
    SgdMomentum optimizer(model.parameters(), {.momentum = 0.9, .weight_decay = 1e-4});
    const std::int64_t share = kGlobalBatch / ranks;
    for (int step = 0; step < kSteps; ++step) {
      const at::Tensor images = global_images(step).narrow(0, communicator.rank() * share, share);
      std::vector<std::vector<std::int32_t>> labels;
      for (std::int64_t i = 0; i < share; ++i) {
        labels.push_back({static_cast<std::int32_t>(communicator.rank() * share + i)});
      }
      reducer.begin();
      const at::Tensor loss = loss_sum(LossKind::kSoftmax, model.forward(images), labels);
      loss.backward();
      reducer.finish();
      optimizer.step(0.02, 1.0 / static_cast<double>(kGlobalBatch));
      std::vector<double> sum = {loss.item<double>()};
      communicator.all_reduce(std::span<double>(sum));
      if (communicator.rank() == 0) {
        losses[static_cast<std::size_t>(step)] = sum[0] / static_cast<double>(kGlobalBatch);
      }
    }
  });
  return losses;
}

TEST(Training, has_the_same_losses_on_1_and_4_ranks_at_the_same_global_batch) {
  const std::vector<double> one = train(1);
  const std::vector<double> four = train(4);
  EXPECT_NEAR(one[0], std::log(10.0), 1e-5);  // a zero head
  EXPECT_GT(std::abs(one[1] - one[0]), 1e-4) << "nothing is learned";
  for (std::size_t step = 0; step < one.size(); ++step) {
    EXPECT_NEAR(four[step] / one[step], 1, 1e-4) << step;
  }
}

}  // namespace
}  // namespace bit::trainer
