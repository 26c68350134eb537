#include "trainer/loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <stdexcept>
#include <string>

namespace bit::trainer {
namespace {

using Labels = std::span<const std::vector<std::int32_t>>;

constexpr std::int64_t kIgnored = -100;

void check_labels(const at::Tensor& logits, Labels labels) {
  if (logits.dim() != 2 || logits.size(0) != static_cast<std::int64_t>(labels.size())) {
    throw std::invalid_argument("loss: " + std::to_string(labels.size()) +
                                " rows of labels for logits of " + std::to_string(logits.size(0)) +
                                " rows");
  }
  for (std::size_t row = 0; row < labels.size(); ++row) {
    for (const std::int32_t label : labels[row]) {
      if (label < 0 || label >= logits.size(1)) {
        throw std::out_of_range("loss: label " + std::to_string(label) + " of row " +
                                std::to_string(row) + " is outside the " +
                                std::to_string(logits.size(1)) + " classes of the model");
      }
    }
  }
}

at::Tensor softmax_loss_sum(const at::Tensor& logits, Labels labels) {
  at::Tensor target = at::empty({logits.size(0)}, at::kLong);
  auto* target_data = target.mutable_data_ptr<std::int64_t>();
  for (std::size_t row = 0; row < labels.size(); ++row) {
    target_data[row] = labels[row].empty() ? kIgnored : labels[row].front();
  }
  return at::nll_loss(at::log_softmax(logits, 1), target.to(logits.device()), {},
                      at::Reduction::Sum, kIgnored);
}

at::Tensor sigmoid_loss_sum(const at::Tensor& logits, Labels labels) {
  at::Tensor target = at::zeros({logits.size(0), logits.size(1)}, at::kFloat);
  at::Tensor counts = at::ones({logits.size(0), 1}, at::kFloat);
  auto target_rows = target.accessor<float, 2>();
  auto counts_rows = counts.accessor<float, 2>();
  for (std::int64_t row = 0; row < logits.size(0); ++row) {
    const auto& row_labels = labels[static_cast<std::size_t>(row)];
    for (const std::int32_t label : row_labels) target_rows[row][label] = 1;
    if (row_labels.empty()) counts_rows[row][0] = 0;
  }
  return at::binary_cross_entropy_with_logits(logits, target.to(logits.device()),
                                              counts.to(logits.device()), {}, at::Reduction::Sum);
}

// Classes that are better than `label`: larger, or equal and lower. A value that is not a number
// beats and loses against everything, so that a diverged model scores nothing.
int classes_before(const float* row, std::int64_t classes, std::int32_t label, int enough) {
  int before = 0;
  for (std::int64_t other = 0; other < classes && before < enough; ++other) {
    if (other == label) {
      if (std::isnan(row[label])) return enough;
      continue;
    }
    const bool behind = row[other] < row[label] || (row[other] == row[label] && other > label);
    before += behind ? 0 : 1;
  }
  return before;
}

}  // namespace

at::Tensor loss_sum(LossKind kind, const at::Tensor& logits, Labels labels) {
  check_labels(logits, labels);
  return kind == LossKind::kSoftmax ? softmax_loss_sum(logits, labels)
                                    : sigmoid_loss_sum(logits, labels);
}

TopCounts count_top(const at::Tensor& logits, Labels labels) {
  check_labels(logits, labels);
  const at::Tensor values = logits.detach().to(at::kCPU, at::kFloat).contiguous();
  const std::int64_t classes = values.size(1);
  TopCounts counts;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (labels[row].empty()) continue;
    int best = 5;
    for (const std::int32_t label : labels[row]) {
      const float* row_values =
          values.const_data_ptr<float>() + static_cast<std::int64_t>(row) * classes;
      best = std::min(best, classes_before(row_values, classes, label, 5));
    }
    counts.records += 1;
    counts.top1 += best < 1 ? 1 : 0;
    counts.top5 += best < 5 ? 1 : 0;
  }
  return counts;
}

}  // namespace bit::trainer
