#include "trainer/evaluate_weights.h"

#include <fmt/format.h>

#include <charconv>

#include "storage/tfrecord.h"
#include "trainer/evaluate.h"
#include "trainer/parameter_weights.h"
#include "trainer/stopwatch.h"
#include "trainer/weight_source.h"

namespace bit::trainer {
namespace {

// The updates in the weights, where the file says so; else 0.
std::uint64_t step_of(const WeightSource& source) {
  std::uint64_t step = 0;
  const auto known = source.metadata().find("step");
  if (known == source.metadata().end()) return step;
  const std::string& text = known->second;
  std::from_chars(text.data(), text.data() + text.size(), step);
  return step;
}

}  // namespace

EvalReport evaluate_weights(const TrainSettings& settings, const storage::Dataset& dataset,
                            cluster::Communicator& communicator, MetricSink& sink) {
  const Stopwatch watch;
  ResNetV2 model(settings.model, settings.precision, settings.seed);
  const bool first = communicator.rank() == 0;
  StartReport start;
  start.ranks = communicator.size();
  start.evaluated_weights = settings.init;
  if (first) {
    const WeightSource source(settings.init);
    start.evaluated_weights = source.path();
    start.first_step = step_of(source);
    sink.start(start);
  }
  if (!load_weights(settings.init, communicator, model.parameters())) {
    throw storage::DataError(fmt::format("{}: there is no head of {} classes in it", settings.init,
                                         settings.model.classes));
  }
  model.weights_changed();
  EvalReport report = evaluate(model, settings.loss, dataset, settings.evaluation, communicator);
  report.step = start.first_step;
  report.weights = start.evaluated_weights;
  if (first) {
    sink.evaluation(report);
    sink.done({report.step, "evaluated", watch.age(), ""});
  }
  return report;
}

}  // namespace bit::trainer
