// From what was asked for and what was planned to what the training loop is given.
#include "launcher/plan.h"
#include "launcher/version.h"

namespace bit::launcher {
namespace {

trainer::AnomalyAction action_of(const schemas::AnomalyConfig& config) {
  if (config.policy() == "warn") return trainer::AnomalyAction::kWarn;
  if (config.policy() == "skip") return trainer::AnomalyAction::kSkip;
  if (config.policy() == "rollback") return trainer::AnomalyAction::kRollback;
  return trainer::AnomalyAction::kStop;
}

}  // namespace

std::string weights_to_evaluate(const schemas::RunConfig& config) {
  return config.model().init().empty() ? config.output() : config.model().init();
}

trainer::TrainSettings settings_of(const schemas::RunConfig& config, const RunPlan& plan) {
  trainer::TrainSettings settings;
  settings.output = config.output();
  settings.config_text = config.DebugString();
  settings.writer = version_line();
  settings.seed = config.seed();
  settings.model_name = plan.model_name;
  settings.model = plan.model;
  settings.precision = plan.precision;
  settings.loss = config.model().loss() == "sigmoid" ? trainer::LossKind::kSigmoid
                                                     : trainer::LossKind::kSoftmax;
  settings.init = plan.evaluate_only ? weights_to_evaluate(config) : config.model().init();
  settings.order = plan.order;
  settings.crop = plan.crop;
  settings.image_size = plan.image_size;
  settings.decoder_threads = plan.decoder_threads;
  settings.reader_threads = plan.reader_threads;
  settings.prefetch = config.data().prefetch();
  settings.memory_limit = plan.window_memory_limit;
  settings.cache = plan.cache;
  settings.cache_limit = parse_bytes(config.data().cache_memory()).value_or(0);
  settings.cache_short_side = plan.cache_short_side;
  settings.bad_record_budget = config.data().bad_record_budget();
  settings.accumulate = config.optimizer().accumulate();
  settings.schedule = plan.schedule;
  settings.momentum = config.optimizer().momentum();
  settings.weight_decay = config.optimizer().weight_decay();
  settings.decoupled_decay = config.optimizer().decay() == "decoupled";
  settings.clip_norm = config.optimizer().clip_norm();
  settings.evaluation = {.batch = plan.evaluation_batch,
                         .resize = plan.evaluation_resize,
                         .image_size = plan.image_size,
                         .filter = plan.filter,
                         .decoder_threads = plan.decoder_threads,
                         .reader_threads = plan.reader_threads};
  settings.evaluate_every = plan.evaluate_every;
  settings.checkpoint_every_steps = plan.checkpoint_every_steps;
  settings.checkpoint_every_seconds = plan.checkpoint_every_seconds;
  settings.checkpoints_kept = config.checkpoint().keep();
  settings.report_every = config.metrics().every();
  settings.layers_every = config.metrics().layers_every();
  settings.anomaly = {.action = action_of(config.anomaly()),
                      .spike_factor = config.anomaly().spike_factor(),
                      .window = config.anomaly().window(),
                      .limit = config.anomaly().limit()};
  settings.log_order = config.debug().log_order();
  return settings;
}

}  // namespace bit::launcher
