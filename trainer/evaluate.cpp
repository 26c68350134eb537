#include "trainer/evaluate.h"

#include <ATen/core/grad_mode.h>

#include <array>
#include <chrono>

#include "pipeline/loader.h"
#include "pipeline/order.h"
#include "trainer/batch_tensor.h"

namespace bit::trainer {

EvalReport evaluate(const ResNetV2& model, LossKind loss, const storage::Dataset& dataset,
                    const EvaluationSettings& settings, cluster::Communicator& communicator) {
  const auto began = std::chrono::steady_clock::now();
  const at::NoGradGuard no_grad;
  const pipeline::EvaluationOrder order(dataset.records(), settings.batch);
  pipeline::LoaderOptions options;
  options.image_size = settings.image_size;
  options.rank = communicator.rank();
  options.ranks = communicator.size();
  options.decoder_threads = settings.decoder_threads;
  options.reader_threads = settings.reader_threads;
  options.prefetch = settings.prefetch;
  options.last_batch = order.batches_per_epoch();
  pipeline::Loader loader(
      dataset, order,
      pipeline::evaluation_plan(settings.resize, settings.image_size, settings.filter), options);

  std::array<std::int64_t, 4> counts{};  // records, top-1, top-5, skipped
  double loss_total = 0;
  while (const pipeline::Batch* batch = loader.next()) {
    const at::Tensor logits = model.forward(images_of(*batch, 0, batch->size));
    const TopCounts top = count_top(logits, batch->labels);
    counts[0] += static_cast<std::int64_t>(top.records);
    counts[1] += static_cast<std::int64_t>(top.top1);
    counts[2] += static_cast<std::int64_t>(top.top5);
    counts[3] += static_cast<std::int64_t>(batch->bad_records.size());
    loss_total += loss_sum(loss, logits, batch->labels).item<double>();
  }
  communicator.all_reduce(std::span<std::int64_t>(counts));
  communicator.all_reduce(std::span<double>(&loss_total, 1));

  EvalReport report;
  report.split = dataset.split();
  report.records = static_cast<std::uint64_t>(counts[0]);
  report.skipped = static_cast<std::uint64_t>(counts[3]);
  const double records = counts[0] > 0 ? static_cast<double>(counts[0]) : 1;
  report.top1 = static_cast<double>(counts[1]) / records;
  report.top5 = static_cast<double>(counts[2]) / records;
  report.loss = loss_total / records;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return report;
}

}  // namespace bit::trainer
