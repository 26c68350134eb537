#include "trainer/loss.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

namespace bit::trainer {
namespace {

using Labels = std::vector<std::vector<std::int32_t>>;

at::Tensor rows(std::vector<float> values, std::int64_t classes) {
  return at::tensor(values).view({-1, classes});
}

TEST(SoftmaxLoss, is_the_sum_of_cross_entropies_with_the_first_label) {
  const at::Tensor logits = rows({0, 0, 0, 1, 2, 3}, 3);
  const Labels labels = {{2, 0}, {1}};
  const double denominator = std::exp(1.0) + std::exp(2.0) + std::exp(3.0);
  const double expected = std::log(3.0) + std::log(denominator) - 2;
  EXPECT_NEAR(loss_sum(LossKind::kSoftmax, logits, labels).item<double>(), expected, 1e-6);
}

TEST(SoftmaxLoss, has_the_gradient_of_the_sum) {
  at::Tensor logits = rows({0.5F, -1, 2, 0, 0, 1}, 3).set_requires_grad(true);
  const Labels labels = {{0}, {}};
  loss_sum(LossKind::kSoftmax, logits, labels).backward();
  at::Tensor expected = at::softmax(logits.detach(), 1);
  expected[0][0] -= 1;
  expected[1].zero_();  // no label: it counts for nothing
  EXPECT_TRUE(at::allclose(logits.grad(), expected, 1e-5, 1e-6));
}

TEST(SigmoidLoss, is_the_binary_cross_entropy_of_every_class_summed) {
  const at::Tensor logits = rows({0.3F, -2, 4, 30, -30, 0}, 3);
  const Labels labels = {{0, 2}, {0}};
  double expected = 0;
  const std::vector<std::vector<double>> x = {{0.3F, -2, 4}, {30, -30, 0}};
  const std::vector<std::vector<int>> y = {{1, 0, 1}, {1, 0, 0}};
  for (std::size_t r = 0; r < 2; ++r) {
    for (std::size_t c = 0; c < 3; ++c) {
      expected += std::log1p(std::exp(y[r][c] == 1 ? -x[r][c] : x[r][c]));
    }
  }
  EXPECT_NEAR(loss_sum(LossKind::kSigmoid, logits, labels).item<double>(), expected, 1e-5);
}

TEST(SigmoidLoss, counts_a_label_given_twice_once_and_rows_without_labels_not_at_all) {
  const at::Tensor logits = rows({0.3F, -2, 5, 6}, 2);
  const Labels twice = {{0, 0}, {}};
  const Labels once = {{0}};
  EXPECT_FLOAT_EQ(loss_sum(LossKind::kSigmoid, logits, twice).item<float>(),
                  loss_sum(LossKind::kSigmoid, logits.narrow(0, 0, 1), once).item<float>());
}

TEST(Loss, of_rows_without_any_label_is_zero) {
  const Labels none = {{}, {}};
  const at::Tensor logits = rows({1, 2, 3, 4}, 2);
  EXPECT_EQ(loss_sum(LossKind::kSoftmax, logits, none).item<float>(), 0);
  EXPECT_EQ(loss_sum(LossKind::kSigmoid, logits, none).item<float>(), 0);
}

TEST(Loss, names_a_label_outside_the_classes) {
  const Labels labels = {{1}, {7}};
  try {
    loss_sum(LossKind::kSoftmax, rows({1, 2, 3, 4}, 2), labels);
    FAIL() << "accepted";
  } catch (const std::out_of_range& error) {
    EXPECT_STREQ(error.what(), "loss: label 7 of row 1 is outside the 2 classes of the model");
  }
}

TEST(CountTop, breaks_ties_towards_the_lower_class) {
  const at::Tensor logits = at::zeros({1, 8});
  auto counts = [&](std::int32_t label) { return count_top(logits, Labels{{label}}); };
  EXPECT_EQ(counts(0).top1, 1U);
  EXPECT_EQ(counts(1).top1, 0U);
  EXPECT_EQ(counts(4).top5, 1U);
  EXPECT_EQ(counts(5).top5, 0U);
}

TEST(CountTop, takes_the_best_of_several_labels_and_leaves_rows_without_out) {
  const at::Tensor logits =
      rows({9, 1, 2, 3, 4, 5, 6, 9, 1, 2, 3, 4, 5, 6, 9, 1, 2, 3, 4, 5, 6}, 7);
  const TopCounts counts = count_top(logits, Labels{{1, 0}, {}, {1}});
  EXPECT_EQ(counts.records, 2U);
  EXPECT_EQ(counts.top1, 1U);
  EXPECT_EQ(counts.top5, 1U);
}

TEST(CountTop, gives_nothing_to_a_model_whose_logits_are_not_numbers) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const TopCounts counts = count_top(rows({nan, nan, nan, nan, nan, nan}, 6), Labels{{0}});
  EXPECT_EQ(counts.records, 1U);
  EXPECT_EQ(counts.top5, 0U);
}

}  // namespace
}  // namespace bit::trainer
