// What a run will do, resolved before it starts: the same numbers that --dry-run prints are the
// ones the run uses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cluster/topology.h"
#include "launcher/config.h"
#include "pipeline/crop.h"
#include "pipeline/image_cache.h"
#include "pipeline/order.h"
#include "schemas/config.pb.h"
#include "trainer/resnet_shape.h"
#include "trainer/schedule.h"
#include "trainer/train_loop.h"

namespace bit::launcher {

struct DatasetFacts {
  std::uint64_t records = 0;
  std::uint32_t classes = 0;
  std::uint64_t bytes = 0;  // of all shards
  // of all images, as far as the index knows them; only looked at for a cache
  std::uint64_t pixels = 0;
};

// Bytes that a rank holds while it trains; estimates.
struct MemoryPlan {
  std::uint64_t weights = 0;      // fp32
  std::uint64_t momentum = 0;     // fp32
  std::uint64_t gradients = 0;    // fp32
  std::uint64_t activations = 0;  // of one micro-step, kept for the backward pass
  std::uint64_t snapshot = 0;     // this rank's share of a checkpoint being written
  std::uint64_t ring = 0;         // decoded batches
  std::uint64_t encoded = 0;      // records of two windows of each lane
  std::uint64_t cache = 0;        // of records or images, at most
  std::uint64_t total() const {
    return weights + momentum + gradients + activations + snapshot + ring + encoded + cache;
  }
};

// Where a run starts: its newest checkpoint, given weights, or the seed. Of job: evaluate: given
// weights, those of the newest checkpoint too.
struct RunStart {
  std::optional<std::uint64_t> checkpoint;  // its step
  std::string init;                         // weights file, checkpoint or run; empty: none
  bool head_fits = true;                    // of the weights file: it has this run's classes
};

struct RunPlan {
  bool evaluate_only = false;  // job: evaluate; what is only of training is not planned
  int ranks = 1;
  int local_ranks = 1;
  int host_cores = 1;
  unsigned compute_threads = 1;  // of each rank
  unsigned decoder_threads = 1;
  unsigned reader_threads = 1;

  std::string model_name;
  trainer::ResNetConfig model;  // classes included
  trainer::Precision precision = trainer::Precision::kFp32;
  std::uint64_t parameters = 0;
  std::uint64_t forward_macs = 0;     // of one image
  std::uint64_t allreduce_bytes = 0;  // of one update

  DatasetFacts data;
  std::uint32_t image_size = 0;  // side of training and evaluation images, pixels
  pipeline::TrainingCrop crop;
  pipeline::ResizeFilter filter = pipeline::ResizeFilter::kTriangle;  // of both
  pipeline::TrainOrderOptions order;  // batch, lanes, block and window resolved
  std::uint64_t rank_batch = 0;       // images of a rank in one update
  std::uint64_t micro_batch = 0;      // images of a rank in one forward pass
  std::uint64_t steps_per_epoch = 0;
  trainer::Schedule schedule;  // in steps
  double epochs = 0;

  std::uint64_t evaluation_records = 0;      // 0: no evaluation
  std::uint64_t evaluation_batch = 0;        // over all ranks
  std::uint32_t evaluation_resize = 0;       // of the short side; 0: square, no crop
  std::uint64_t evaluate_every = 0;          // steps; 0: at the end only
  std::uint64_t checkpoint_every_steps = 0;  // 0: by time
  double checkpoint_every_seconds = 0;

  std::uint64_t window_memory_limit = 0;  // bytes
  pipeline::CacheKind cache = pipeline::CacheKind::kNone;
  std::uint64_t cache_needed = 0;      // bytes that hold the whole split; 0: unknown
  std::uint32_t cache_short_side = 0;  // pixels that cached images are shrunk to; 0: kept
  MemoryPlan memory;                   // of each rank
  std::optional<RunStart> start;       // when it was looked for (plan_start.h)
  std::vector<std::string> warnings;   // things that work but are probably not meant
};

// `topology` is this rank's. For job: evaluate, `train` is the split to evaluate, too. Throws
// ConfigError with everything that does not fit, each said where its setting comes from.
RunPlan make_plan(const LoadedConfig& loaded, const DatasetFacts& train,
                  const std::optional<DatasetFacts>& evaluation, const cluster::Topology& topology);

// What `data.lanes: 0` stands for.
std::uint64_t default_lanes(std::uint64_t batch);
// The multiple of `lanes` next to `window` records, at least one a lane; 0 stands for the default
// window.
std::uint64_t window_of_lanes(std::uint64_t window, std::uint64_t lanes);

// The plan as a table for people, units on every number, warnings last.
std::string describe(const RunPlan& plan);

// What job: evaluate takes its weights from: model.init or, when that is empty, output.
std::string weights_to_evaluate(const schemas::RunConfig& config);

// What the training loop, or job: evaluate, is given.
trainer::TrainSettings settings_of(const schemas::RunConfig& config, const RunPlan& plan);

}  // namespace bit::launcher
