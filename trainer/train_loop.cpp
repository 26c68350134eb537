#include "trainer/train_loop.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>

#include "storage/checkpoint_store.h"
#include "trainer/batch_tensor.h"
#include "trainer/checkpointer.h"
#include "trainer/finished_model.h"
#include "trainer/gradient_reducer.h"
#include "trainer/optimizer.h"
#include "trainer/parameter_weights.h"
#include "trainer/resume_check.h"
#include "trainer/run_files.h"
#include "trainer/run_state.h"
#include "trainer/step_agreement.h"
#include "trainer/step_update.h"
#include "trainer/stopwatch.h"
#include "trainer/text_lines.h"
#include "trainer/training_loader.h"

namespace bit::trainer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kReadyOrder = "gradient ready order";

class Training {
 public:
  Training(const TrainSettings& settings, const storage::Dataset& training_data,
           const storage::Dataset* evaluation_data, cluster::Communicator& communicator,
           const RunControl& control, MetricSink& sink)
      : settings_(settings),
        training_data_(training_data),
        evaluation_data_(evaluation_data),
        communicator_(communicator),
        control_(control),
        sink_(communicator.rank() == 0 ? sink : silence_),
        model_(settings.model, settings.precision, settings.seed),
        optimizer_(model_.parameters(),
                   {settings.momentum, settings.weight_decay, settings.decoupled_decay}),
        order_(settings.order),
        policy_(settings.anomaly),
        checkpointer_(storage::CheckpointStore(storage::posix_file_system(),
                                               settings.output + "/checkpoints"),
                      communicator.duplicate(), settings.checkpoints_kept),
        update_({settings_, communicator_, checkpointer_, sink_, model_, optimizer_, policy_}),
        bad_records_(settings.output + "/bad_records.jsonl", settings.bad_record_budget,
                     communicator),
        reducer_communicator_(communicator.duplicate()) {}

  Outcome run() {
    resume();
    if (evaluation_due()) evaluate_unless_on_record();
    if (!complete())
      loader_ = training_loader(settings_, training_data_, order_, step_, communicator_);
    while (!complete()) {
      StepReport report = compute_gradient();
      const Agreement agreed = agree_on_step();
      report.loss = agreed.loss_sum / static_cast<double>(settings_.order.batch);
      report.gradient_norm = agreed.gradient_norm;
      if (agreed.bad_records) bad_records_.add(step_, batch_->bad_records);
      if (order_log_) order_log_->write(step_, *batch_);
      report.other_seconds = watch_.lap();
      update_.run(report);
      report.optimizer_seconds += watch_.lap();
      report.checkpoint_blocked_seconds = save_if_due(agreed, report.updated);
      this->report(report);
      if (agreed.stop_requested) return stop();
      if (evaluation_due()) evaluate_now();
    }
    return finish();
  }

 private:
  // Forward, backward, sums over ranks: what one step of the schedule has to be decided on.
  StepReport compute_gradient() {
    StepReport report;
    report.learning_rate = settings_.schedule.learning_rate(step_);
    watch_.lap();
    batch_ = loader_->next();
    report.data_wait_seconds = watch_.lap();
    here_ = {};
    const std::uint32_t micro = batch_->size / settings_.accumulate;
    for (std::uint32_t i = 0; i < settings_.accumulate; ++i) {
      if (i + 1 == settings_.accumulate) reducer_->begin();
      const at::Tensor logits = model_.forward(images_of(*batch_, i * micro, micro));
      const at::Tensor loss =
          loss_sum(settings_.loss, logits, batch_->labels.subspan(i * micro, micro));
      here_.loss_sum += loss.item<double>();
      report.forward_seconds += watch_.lap();
      loss.backward();
      report.backward_seconds += watch_.lap();
    }
    reducer_->finish();
    report.comm_exposed_seconds = watch_.lap();
    here_.gradient_norm = update_.gradient_norm();
    report.step = ++step_;
    report.optimizer_seconds = watch_.lap();
    return report;
  }

  Agreement agree_on_step() {
    const bool due = communicator_.rank() == 0 && checkpoint_due_here();
    here_.bad_records = !batch_->bad_records.empty();
    here_.checkpoint_requested = control_.take_checkpoint_request() || due;
    here_.stop_requested = !control_.stop_reason().empty();
    here_.checkpoint_busy = checkpointer_.busy();
    return agree(communicator_, here_);
  }

  // Starts a save when one was asked for and none is under way on any rank; a request that comes
  // too early stays. So does one after a step without update: the state may be what led to it.
  double save_if_due(const Agreement& agreed, bool updated) {
    checkpoint_wanted_ |= agreed.checkpoint_requested;
    if (!agreed.checkpoint_busy) report_save(checkpointer_.poll(), sink_);
    if (checkpoint_wanted_ && updated && !agreed.checkpoint_busy && !complete() &&
        !agreed.stop_requested) {
      save();
    }
    return watch_.lap();
  }

  void save() {
    checkpointer_.start(state_of(model_, optimizer_), manifest());
    checkpoint_wanted_ = false;
    saved_step_ = step_;
    saved_at_ = Clock::now();
  }

  // A last save that the process waits for, unless this step is in a checkpoint already.
  void save_and_wait() {
    report_save(checkpointer_.drain(), sink_);
    if (saved_step_ == step_) return;
    save();
    report_save(checkpointer_.drain(), sink_);
  }

  bool checkpoint_due_here() const {
    if (settings_.checkpoint_every_steps > 0) return step_ % settings_.checkpoint_every_steps == 0;
    return settings_.checkpoint_every_seconds > 0 &&
           std::chrono::duration<double>(Clock::now() - saved_at_).count() >=
               settings_.checkpoint_every_seconds;
  }

  bool evaluation_due() const {
    return evaluation_data_ != nullptr && settings_.evaluate_every > 0 && step_ > 0 &&
           step_ % settings_.evaluate_every == 0 && !complete();
  }

  // False when an earlier process did it.
  bool evaluate_unless_on_record() {
    const bool on_record =
        is_on_rank_zero([&] { return control_.evaluated(step_, evaluation_data_->split()); });
    if (!on_record) evaluate_now();
    return !on_record;
  }

  bool is_on_rank_zero(const std::function<bool()>& ask) {
    const bool here = communicator_.rank() == 0 && ask();
    return communicator_.broadcast(here ? "yes" : "no", 0) == "yes";
  }

  void evaluate_now() {
    EvalReport report =
        evaluate(model_, settings_.loss, *evaluation_data_, settings_.evaluation, communicator_);
    report.step = step_;
    sink_.evaluation(report);
    watch_.lap();
  }

  void report(StepReport& report) {
    report.step = step_;
    report.total_steps = settings_.schedule.total_steps;
    report.epoch = static_cast<double>(step_) / static_cast<double>(order_.batches_per_epoch());
    report.step_seconds = report.data_wait_seconds + report.forward_seconds +
                          report.backward_seconds + report.comm_exposed_seconds +
                          report.optimizer_seconds + report.checkpoint_blocked_seconds +
                          report.other_seconds;
    report.images = settings_.order.batch;
    report.images_per_second = static_cast<double>(report.images) / report.step_seconds;
    report.on_record = step_ % settings_.report_every == 0 || complete();
    report.loader = loader_->counters();
    sink_.step(report);
  }

  Outcome stop() {
    save_and_wait();
    const std::string why = control_.stop_reason();
    sink_.done({step_, "stopped: " + (why.empty() ? std::string("asked for on another rank") : why),
                watch_.age(), ""});
    return Outcome::kStopped;
  }

  bool complete() const { return step_ >= settings_.schedule.total_steps; }

  // The weights are those of the last step. Evaluates and writes model.safetensors, what of it is
  // not there yet.
  Outcome finish() {
    save_and_wait();
    bool worked = step_ > first_step_;
    if (evaluation_data_ != nullptr) worked |= evaluate_unless_on_record();
    const FinishedModel model{settings_.output + "/model.safetensors", settings_.model_name, step_};
    if (!is_on_rank_zero([&] { return is_written(model, model_.parameters()); })) {
      if (communicator_.rank() == 0) write_model(model, model_.parameters());
      worked = true;
    }
    if (worked) {
      sink_.done({step_, "complete", watch_.age(), model.path});
    } else {
      sink_.note(fmt::format("already complete at step {}; weights: {}", step_, model.path));
    }
    return Outcome::kComplete;
  }

  schemas::CheckpointManifest manifest() const {
    schemas::CheckpointManifest manifest;
    manifest.set_step(step_);
    manifest.set_config(settings_.config_text);
    manifest.set_dataset_hash(training_data_.hash());
    manifest.set_writer(settings_.writer);
    manifest.set_wall_time(
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
    auto& state = *manifest.mutable_state();
    if (reducer_) state[kReadyOrder] = join_lines(reducer_->ready_order());
    keep_policy(policy_, manifest);
    record_meaning(manifest, settings_, training_data_.hash());
    return manifest;
  }

  void resume() {
    storage::CheckpointStore store = checkpointer_.store();
    if (communicator_.rank() == 0) store.remove_leftovers();
    const auto manifest = choose_checkpoint(store, communicator_, sink_);
    std::vector<std::string> ready_order;
    StartReport start{0, settings_.schedule.total_steps, communicator_.size(), ""};
    if (manifest) {
      require_resumable(*manifest, store.path(manifest->step()), settings_, training_data_.hash());
      restore_state(store, *manifest, communicator_, state_of(model_, optimizer_));
      model_.weights_changed();
      step_ = first_step_ = saved_step_ = manifest->step();
      const auto order = manifest->state().find(kReadyOrder);
      if (order != manifest->state().end()) ready_order = split_lines(order->second);
      start.first_step = step_;
      start.resumed_from = store.path(step_);
      restore_policy(*manifest, start.resumed_from, policy_);
      start.resumed_wall_time = manifest->wall_time();
    } else if (!settings_.init.empty()) {
      const bool head = load_weights(settings_.init, communicator_, model_.parameters());
      model_.weights_changed();
      if (!head)
        sink_.note(settings_.init + " has no head of these classes: the head starts at zero");
    }
    reducer_ = std::make_unique<GradientReducer>(*reducer_communicator_, model_.parameters(),
                                                 ReducerOptions{}, ready_order);
    if (settings_.log_order)
      order_log_.emplace(settings_.output + "/order.jsonl", step_, communicator_);
    sink_.start(start);
    if (!manifest) return;
    for (const auto& change : changed_settings(manifest->config(), settings_.config_text))
      sink_.note("changed since the checkpoint: " + change);
  }

  const TrainSettings& settings_;
  const storage::Dataset& training_data_;
  const storage::Dataset* evaluation_data_;
  cluster::Communicator& communicator_;
  const RunControl& control_;
  MetricSink silence_;
  MetricSink& sink_;
  ResNetV2 model_;
  SgdMomentum optimizer_;
  pipeline::TrainOrder order_;
  AnomalyPolicy policy_;
  Checkpointer checkpointer_;
  StepUpdate update_;
  BadRecordLog bad_records_;
  std::optional<OrderLog> order_log_;
  std::unique_ptr<cluster::Communicator> reducer_communicator_;
  std::unique_ptr<GradientReducer> reducer_;
  std::unique_ptr<pipeline::Loader> loader_;
  const pipeline::Batch* batch_ = nullptr;

  Stopwatch watch_;
  Clock::time_point saved_at_ = Clock::now();
  std::uint64_t step_ = 0;        // of the schedule, whose batches were used
  std::uint64_t first_step_ = 0;  // of them, by earlier processes
  std::uint64_t saved_step_ = ~std::uint64_t{0};
  Agreement here_;  // of this rank, of the step under way
  bool checkpoint_wanted_ = false;
};

}  // namespace

Outcome train(const TrainSettings& settings, const storage::Dataset& training_data,
              const storage::Dataset* evaluation_data, cluster::Communicator& communicator,
              const RunControl& control, MetricSink& sink) {
  return Training(settings, training_data, evaluation_data, communicator, control, sink).run();
}

}  // namespace bit::trainer
