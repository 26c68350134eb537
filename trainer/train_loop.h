// The run: batches in, weights out, resumed from the newest good checkpoint. Everything is resolved
// before it gets here.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>

#include "cluster/communicator.h"
#include "pipeline/crop.h"
#include "pipeline/image_cache.h"
#include "pipeline/order.h"
#include "storage/dataset.h"
#include "trainer/anomaly_policy.h"
#include "trainer/evaluate.h"
#include "trainer/loss.h"
#include "trainer/metrics.h"
#include "trainer/resnet_v2.h"
#include "trainer/schedule.h"

namespace bit::trainer {

struct TrainSettings {
  std::string output;       // run directory, exists
  std::string config_text;  // resolved configuration, kept in every checkpoint
  std::string writer;       // version of this program, likewise
  std::uint64_t seed = 0;

  std::string model_name;
  ResNetConfig model;
  Precision precision = Precision::kFp32;
  LossKind loss = LossKind::kSoftmax;
  std::string init;  // weights to start from; empty: from the seed

  pipeline::TrainOrderOptions order;  // order.batch is the global batch
  pipeline::TrainingCrop crop;
  std::uint32_t image_size = 224;
  unsigned decoder_threads = 1;
  unsigned reader_threads = 2;
  unsigned prefetch = 4;
  std::uint64_t memory_limit = 0;
  pipeline::CacheKind cache = pipeline::CacheKind::kNone;
  std::uint64_t cache_limit = 0;
  std::uint32_t cache_short_side = 0;
  std::uint64_t bad_record_budget = 0;

  std::uint32_t accumulate = 1;  // divides order.batch / ranks
  Schedule schedule;             // total_steps included
  double momentum = 0.9;
  double weight_decay = 0;
  bool decoupled_decay = false;  // w -= rate * (v + decay * w); else the gradient has decay * w
  double clip_norm = 0;          // of the whole mean gradient, before decay; 0: none

  AnomalySettings anomaly;

  EvaluationSettings evaluation;
  std::uint64_t evaluate_every = 0;  // steps; 0: at the end only
  std::uint64_t checkpoint_every_steps = 0;
  double checkpoint_every_seconds = 0;  // used when the steps are 0
  std::uint32_t checkpoints_kept = 3;
  std::uint32_t report_every = 1;  // steps between two StepReports
  std::uint32_t layers_every = 0;  // steps between two LayersReports; 0: none
  bool log_order = false;
};

// What the outside says to a run. All of it must be set, and none may block.
struct RunControl {
  // Every rank, after each step: was a checkpoint asked for since the last call?
  std::function<bool()> take_checkpoint_request;
  // Every rank, after each step: why to stop; empty to go on.
  std::function<std::string()> stop_reason;
  // Rank 0, after MetricSink::start(): is an evaluation of `split` at `step` on record?
  std::function<bool(std::uint64_t step, const std::string& split)> evaluated;
};

enum class Outcome { kComplete, kStopped };

// The checkpoints belong to a run whose settings mean other weights, or to a longer one; names each
// setting with both values. Exit code 2.
class ResumeMismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A checkpoint could not be written, for the reason that a rank gives. The same on all ranks. Exit
// code 74.
class SaveError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Loss, gradient or weights are no longer finite numbers, or the loss is a spike, and
// TrainSettings::anomaly says to stop or has no other way. A state that is not finite is never
// saved. Exit code 78.
class DivergedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Collective. Trains to the end of the schedule or until a stop is asked for on any rank, with a
// checkpoint either way; at the end evaluates (when `evaluation_data` is given) and writes
// model.safetensors. What an earlier process left undone at the step it is resumed from is made up
// for: an evaluation that was due, the evaluation and the file at the end. `sink` is used on rank 0
// only.
Outcome train(const TrainSettings& settings, const storage::Dataset& training_data,
              const storage::Dataset* evaluation_data, cluster::Communicator& communicator,
              const RunControl& control, MetricSink& sink);

}  // namespace bit::trainer
