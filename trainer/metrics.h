// What a run says about itself. All sinks (progress bar, metrics.jsonl, TensorBoard, Prometheus)
// show these same numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/loader_counters.h"

namespace bit::trainer {

// One update. The phases add up to step_seconds.
struct StepReport {
  std::uint64_t step = 0;  // updates done, this one included
  std::uint64_t total_steps = 0;
  double epoch = 0;  // epochs of data consumed
  double loss = 0;   // mean over the global batch
  double learning_rate = 0;
  // L2 norms over all weights together. Without an update (StepReport::updated) the last two are
  // not a number, and so is the first unless it had to be known.
  double gradient_norm = 0;      // of the mean gradient of the batch, before clipping and decay
  double parameter_norm = 0;     // after the update
  double update_norm = 0;        // learning rate x momentum
  bool updated = true;           // false: the update was left out or taken back (AnomalyReport)
  std::uint64_t images = 0;      // of this update, all ranks
  double images_per_second = 0;  // all ranks
  double step_seconds = 0;
  double data_wait_seconds = 0;
  double forward_seconds = 0;
  double backward_seconds = 0;
  double comm_exposed_seconds = 0;  // waiting for gradient sums after backward
  double optimizer_seconds = 0;
  double checkpoint_blocked_seconds = 0;
  double other_seconds = 0;         // bookkeeping: agreement, logging
  pipeline::LoaderCounters loader;  // of rank 0, since it started
  bool on_record = true;            // to be written down; false: only for what shows the present
};

// L2 norms of one parameter in one update, as StepReport has them of all.
struct LayerNumbers {
  std::string name;
  double weight_norm = 0;
  double gradient_norm = 0;
  double update_norm = 0;
  // Of standardised kernels, whose scale changes nothing in the network's answers: learning rate /
  // weight norm squared, the rate at which their direction moves (van Laarhoven 2017, "L2
  // regularization versus batch and weight normalization"; Zhang et al. 2019, "Three mechanisms of
  // weight decay regularization").
  std::optional<double> effective_learning_rate;
};

struct LayersReport {
  std::uint64_t step = 0;
  std::vector<LayerNumbers> layers;  // in the order of the forward pass
};

// A step whose loss or gradient is not finite, or whose loss is a spike.
struct AnomalyReport {
  std::uint64_t step = 0;
  std::string kind;    // "not finite" or "spike"
  std::string action;  // "warn", "skip", "rollback" or "stop"
  double loss = 0;
  double average = 0;                    // moving average of the loss before
  double gradient_norm = 0;              // not a number when it was not looked at
  std::uint32_t count = 0;               // towards anomaly.limit
  std::optional<std::uint64_t> back_to;  // step of the checkpoint, of a rollback
};

struct EvalReport {
  std::uint64_t step = 0;
  std::string split;
  std::uint64_t records = 0;  // counted
  std::uint64_t skipped = 0;  // unusable
  double top1 = 0;            // share in [0, 1]
  double top5 = 0;
  double loss = 0;
  double seconds = 0;
  std::string weights = {};  // path, when the run is of job: evaluate
};

struct CheckpointReport {
  std::uint64_t step = 0;
  std::string path;
  std::uint64_t bytes = 0;
  double blocked_seconds = 0;  // of the training loop
  double seconds = 0;          // snapshot to published
  bool ok = true;
  std::string error;  // when not ok
};

// How a run ended, whether well or by a stop.
struct DoneReport {
  std::uint64_t step = 0;
  std::string reason;  // "complete", "stopped: signal USR2", ...
  double seconds = 0;  // of this process
  std::string model;   // path of model.safetensors, when written
};

// How a run ended that could not go on.
struct FailureReport {
  std::string reason;
  int exit_code = 0;
};

struct StartReport {
  std::uint64_t first_step = 0;  // updates already in the weights
  std::uint64_t total_steps = 0;
  int ranks = 1;
  std::string resumed_from;      // checkpoint path, empty for a fresh run
  double resumed_wall_time = 0;  // Unix seconds when that checkpoint was taken
  // job: evaluate, which changes nothing of a run that is in the directory: what is evaluated.
  std::string evaluated_weights = {};
};

// Called on rank 0, from the training thread (checkpoint() too). Must be quick: no network, no
// waiting.
class MetricSink {
 public:
  virtual ~MetricSink() = default;
  // Once the run is accepted: what is there of it may be changed from here on.
  virtual void start(const StartReport&) {}
  virtual void step(const StepReport&) {}
  virtual void layers(const LayersReport&) {}
  virtual void anomaly(const AnomalyReport&) {}
  virtual void evaluation(const EvalReport&) {}
  virtual void checkpoint(const CheckpointReport&) {}
  virtual void done(const DoneReport&) {}
  virtual void failed(const FailureReport&) {}
  // A sentence for people: what was found, replaced or left out.
  virtual void note(const std::string&) {}
};

// Passes everything on to several.
class MetricSinks final : public MetricSink {
 public:
  void add(std::unique_ptr<MetricSink> sink) { sinks_.push_back(std::move(sink)); }
  void start(const StartReport& report) override {
    for (auto& sink : sinks_) sink->start(report);
  }
  void step(const StepReport& report) override {
    for (auto& sink : sinks_) sink->step(report);
  }
  void layers(const LayersReport& report) override {
    for (auto& sink : sinks_) sink->layers(report);
  }
  void anomaly(const AnomalyReport& report) override {
    for (auto& sink : sinks_) sink->anomaly(report);
  }
  void evaluation(const EvalReport& report) override {
    for (auto& sink : sinks_) sink->evaluation(report);
  }
  void checkpoint(const CheckpointReport& report) override {
    for (auto& sink : sinks_) sink->checkpoint(report);
  }
  void done(const DoneReport& report) override {
    for (auto& sink : sinks_) sink->done(report);
  }
  void failed(const FailureReport& report) override {
    for (auto& sink : sinks_) sink->failed(report);
  }
  void note(const std::string& text) override {
    for (auto& sink : sinks_) sink->note(text);
  }

 private:
  std::vector<std::unique_ptr<MetricSink>> sinks_;
};

}  // namespace bit::trainer
