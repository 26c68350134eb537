// Losses and the counts of an evaluation.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace bit::trainer {

enum class LossKind { kSoftmax, kSigmoid };

// Sum over the batch (not the mean: the division by the global batch happens once, in fp32).
// logits: [N, classes] fp32. softmax: cross-entropy with the record's first label. sigmoid: binary
// cross-entropy of every class, summed over classes. Rows whose labels are empty count 0. labels:
// [N], 0-based.
at::Tensor loss_sum(LossKind kind, const at::Tensor& logits,
                    std::span<const std::vector<std::int32_t>> labels);

struct TopCounts {
  std::uint64_t records = 0;  // rows with at least one label
  std::uint64_t top1 = 0;     // best class is among the labels
  std::uint64_t top5 = 0;     // one of the best five is among the labels
};
// Ties are broken towards the lower class, so results do not depend on the batch.
TopCounts count_top(const at::Tensor& logits, std::span<const std::vector<std::int32_t>> labels);

}  // namespace bit::trainer
