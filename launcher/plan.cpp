#include "launcher/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "launcher/config.h"
#include "launcher/plan_choices.h"
#include "launcher/version.h"
#include "launcher/words.h"

namespace bit::launcher {
namespace {

constexpr std::uint64_t kDefaultLanes = 64;
constexpr std::uint64_t kDefaultWindow = 16384;
constexpr unsigned kCoresPerDecoder = 4;  // when nothing is said: compute needs most of them

std::uint64_t u64(int value) { return static_cast<std::uint64_t>(value); }

// Largest divisor of `number` that is at most `limit` and a multiple of `factor`; 0 when there is
// none.
std::uint64_t largest_divisor(std::uint64_t number, std::uint64_t limit, std::uint64_t factor = 1) {
  for (std::uint64_t candidate = std::min(number, limit); candidate > 0; --candidate) {
    if (number % candidate == 0 && candidate % factor == 0) return candidate;
  }
  return 0;
}

class Planner {
 public:
  Planner(const LoadedConfig& loaded, const DatasetFacts& train,
          const std::optional<DatasetFacts>& evaluation)
      : config_(loaded.config), origins_(loaded.origins), evaluation_(evaluation) {
    plan_.data = train;
  }

  RunPlan make(const cluster::Topology& topology) {
    plan_.ranks = static_cast<int>(topology.hosts.size());
    plan_.local_ranks = topology.local_ranks;
    plan_.host_cores = topology.host_cores;
    check_binding(topology);
    plan_threads();
    plan_.evaluate_only = config_.job() == "evaluate";
    plan_.order.batch = config_.batch();
    if (!plan_.evaluate_only) plan_batch();
    plan_model();
    plan_images();
    if (mistakes_.empty() && plan_.evaluate_only) {
      plan_evaluation();
      plan_evaluation_memory();
    } else if (mistakes_.empty()) {
      plan_order();
      plan_schedule();
      plan_evaluation();
      plan_memory();
    }
    if (!mistakes_.empty()) throw ConfigError(std::move(mistakes_));
    return std::move(plan_);
  }

 private:
  // `what` goes on after the name of the setting.
  void mistake(const char* key, const std::string& what) {
    mistakes_.push_back(mistake_about(key, what, origins_));
  }
  void warn(std::string what) { plan_.warnings.push_back(std::move(what)); }
  std::uint64_t steps_of(const std::string& length) const {
    return to_steps(parse_duration(length).value_or(Duration{}), plan_.steps_per_epoch);
  }

  void check_binding(const cluster::Topology& topology);
  void plan_threads();
  void check_threads(unsigned cores);
  void plan_batch();
  void plan_model();
  void plan_initialization();
  void plan_images();
  void warn_if_idle(const char* key, bool idle, const char* because);
  void plan_order();
  void plan_schedule();
  void plan_drops();
  void plan_checkpoints();
  void plan_evaluation();
  void plan_memory();
  void plan_evaluation_memory();
  void plan_cache();

  const schemas::RunConfig& config_;
  const Origins& origins_;
  const std::optional<DatasetFacts>& evaluation_;
  RunPlan plan_;
  std::vector<ConfigMistake> mistakes_;
};

void Planner::check_binding(const cluster::Topology& topology) {
  if (topology.host_cores >= topology.allowed_cores) return;
  warn(fmt::format(
      "{} of this host {} bound to {} of its {} cores; under mpirun, --bind-to none "
      "(or --map-by socket:PE=...) gives the others",
      counted(u64(topology.local_ranks), "rank"), topology.local_ranks == 1 ? "is" : "are",
      topology.host_cores, topology.allowed_cores));
}

// Compute and decoder threads of a rank fit its cores unless it has only one, or the settings say
// otherwise. Reader threads wait for disks and are not counted.
void Planner::plan_threads() {
  const auto cores = static_cast<unsigned>(std::max(1, plan_.host_cores / plan_.local_ranks));
  const unsigned threads = config_.threads();
  const unsigned decoders = config_.data().decoder_threads();
  const unsigned left = threads > 0 && threads < cores ? cores - threads : 1;
  plan_.decoder_threads = decoders > 0  ? decoders
                          : threads > 0 ? left
                                        : std::max(1u, cores / kCoresPerDecoder);
  plan_.compute_threads =
      threads > 0 ? threads : cores - std::min(plan_.decoder_threads, cores - 1);
  plan_.reader_threads = config_.data().reader_threads();
  check_threads(cores);
}

void Planner::check_threads(unsigned cores) {
  const auto host_threads = u64(plan_.local_ranks) * plan_.compute_threads;
  if (host_threads > u64(plan_.host_cores)) {
    const std::string what = fmt::format(
        "{} on this host with {} each exceed its {}", counted(u64(plan_.local_ranks), "rank"),
        counted(plan_.compute_threads, "compute thread"), counted(u64(plan_.host_cores), "core"));
    if (config_.oversubscribe()) {
      warn(what + "; oversubscribe allows it, but it will be slow");
    } else {
      mistake("threads", fmt::format("is {}: {}; start fewer ranks, lower threads, or set "
                                     "oversubscribe: true",
                                     config_.threads(), what));
    }
  } else if (plan_.compute_threads + plan_.decoder_threads > cores) {
    warn(fmt::format("{} and {} of each rank share {}",
                     counted(plan_.compute_threads, "compute thread"),
                     counted(plan_.decoder_threads, "decoder thread"), counted(cores, "core")));
  }
}

void Planner::plan_batch() {
  const auto ranks = u64(plan_.ranks);
  const std::uint64_t batch = config_.batch();
  const std::uint64_t accumulate = config_.optimizer().accumulate();
  if (batch % (ranks * accumulate) != 0) {
    mistake("batch", fmt::format("is {}: it cannot be split over {} ranks x {} micro-steps "
                                 "(optimizer.accumulate); {} can",
                                 batch, ranks, accumulate,
                                 (batch / (ranks * accumulate) + 1) * ranks * accumulate));
    return;
  }
  plan_.rank_batch = batch / ranks;
  plan_.micro_batch = plan_.rank_batch / accumulate;
  plan_.order.lanes = config_.data().lanes() > 0 ? config_.data().lanes() : default_lanes(batch);
  if (plan_.order.lanes % ranks != 0) {
    std::uint64_t fits = largest_divisor(batch, kDefaultLanes, ranks);
    if (fits == 0) fits = ranks;  // divides the batch, as checked above
    mistake("data.lanes", fmt::format("is {}: {} lanes cannot be split over {} ranks; {} can",
                                      config_.data().lanes(), plan_.order.lanes, ranks, fits));
  }
  if (plan_.data.records < batch) {
    mistake("batch", fmt::format("is {}: the split '{}' has only {} records", batch,
                                 config_.data().split(), plan_.data.records));
  }
}

void Planner::plan_model() {
  const std::uint32_t classes = plan_.data.classes;
  if (config_.data().classes() != 0 && config_.data().classes() != classes) {
    mistake("data.classes",
            fmt::format("is {}: the dataset has {}", config_.data().classes(), classes));
  }
  if (classes == 0)
    mistake("data.path", "is '" + config_.data().path() + "': the dataset has no classes");
  if (evaluation_ && evaluation_->classes != classes) {
    mistake("evaluate.split",
            fmt::format("is '{}': it has {} classes, the training split {}",
                        config_.evaluate().split(), evaluation_->classes, classes));
  }
  plan_.model_name = config_.model().name();
  plan_.precision =
      config_.model().precision() == "bf16" ? trainer::Precision::kBf16 : trainer::Precision::kFp32;
  plan_.model = trainer::parse_model_name(plan_.model_name, static_cast<int>(classes));
  plan_initialization();
  plan_.parameters = trainer::parameter_count(plan_.model);
  plan_.forward_macs =
      trainer::forward_macs(plan_.model, static_cast<int>(config_.data().image_size()));
  plan_.allreduce_bytes =
      plan_.ranks > 1 && !plan_.evaluate_only ? plan_.parameters * sizeof(float) : 0;
  const auto features = cpu_features();
  const bool has_bf16 = std::any_of(features.begin(), features.end(), [](const std::string& name) {
    return name.ends_with("_bf16");
  });
  if (plan_.precision == trainer::Precision::kBf16 && !has_bf16) {
    warn("this CPU has neither avx512_bf16 nor amx_bf16: model.precision fp32 is faster here");
  }
}

void Planner::plan_initialization() {
  const auto& model = config_.model();
  const bool given = !model.init().empty();
  plan_.model.head_bias = model.head_bias();
  plan_.model.initialization = initialization_of(model);
  if (!given && model.head_initialization() == "normal") {
    plan_.model.head_initialization = trainer::HeadInitialization::kNormal;
  }
  plan_.model.decay_everything = config_.optimizer().decay_on() == "all";
  for (const char* key : {"model.initialization", "model.head_initialization"}) {
    warn_if_idle(key, given, "model.init has the weights");
  }
  for (const char* key : {"optimizer.decay", "optimizer.decay_on"}) {
    warn_if_idle(key, config_.optimizer().weight_decay() == 0, "optimizer.weight_decay is 0");
  }
}

void Planner::plan_order() {
  auto& order = plan_.order;
  order.records = plan_.data.records;
  order.block = config_.data().block();
  order.seed = config_.seed();
  order.window = order.block == 1 ? 0 : window_of_lanes(config_.data().window(), order.lanes);
  plan_.steps_per_epoch = order.records / order.batch;
}

void Planner::plan_schedule() {
  const auto& config = config_.schedule();
  auto& schedule = plan_.schedule;
  schedule.kind =
      config.kind() == "cosine" ? trainer::ScheduleKind::kCosine : trainer::ScheduleKind::kSteps;
  schedule.peak = config_.optimizer().learning_rate();
  schedule.total_steps = steps_of(config.length());
  schedule.warmup_steps = steps_of(config.warmup());
  schedule.warmup_start = config.warmup_start();
  plan_.epochs =
      static_cast<double>(schedule.total_steps) / static_cast<double>(plan_.steps_per_epoch);
  if (schedule.total_steps == 0) {
    mistake("schedule.length", fmt::format("is '{}': this is less than one step of {} images",
                                           config.length(), config_.batch()));
  }
  plan_drops();
  if (schedule.warmup_steps >= schedule.total_steps) {
    warn(fmt::format(
        "the learning rate never reaches its peak: schedule.warmup is {} steps, the run {}",
        schedule.warmup_steps, schedule.total_steps));
  }
  warn_if_idle("schedule.warmup_start", schedule.warmup_steps == 0, "there is no warm-up");
  warn_if_idle("schedule.drop_factor", schedule.drops.empty(), "there are no drops");
  plan_checkpoints();
}

void Planner::plan_drops() {
  auto& schedule = plan_.schedule;
  schedule.drop_factor = config_.schedule().drop_factor();
  for (const std::string& text : config_.schedule().drops()) {
    const std::uint64_t drop = steps_of(text);
    if (!schedule.drops.empty() && drop <= schedule.drops.back()) {
      mistake("schedule.drops",
              fmt::format("has '{}', step {}: not after the drop before it at step {}", text, drop,
                          schedule.drops.back()));
    }
    if (drop >= schedule.total_steps) {
      warn(fmt::format("the drop at '{}' (step {}) is never reached: the run has {} steps", text,
                       drop, schedule.total_steps));
    }
    schedule.drops.push_back(drop);
  }
}

void Planner::plan_checkpoints() {
  const Duration every = parse_duration(config_.checkpoint().every()).value_or(Duration{});
  if (every.unit == Duration::Unit::kSeconds) {
    plan_.checkpoint_every_seconds = every.amount;
  } else {
    plan_.checkpoint_every_steps =
        std::max<std::uint64_t>(1, to_steps(every, plan_.steps_per_epoch));
  }
}

void Planner::warn_if_idle(const char* key, bool idle, const char* because) {
  const auto origin = origins_.find(key);
  if (!idle || origin == origins_.end() || origin->second == kDefaultOrigin) return;
  warn(fmt::format("{}: {} changes nothing: {}", origin->second, key, because));
}

void Planner::plan_images() {
  const schemas::DataConfig& data = config_.data();
  plan_.image_size = data.image_size();
  plan_.crop = training_crop(data);
  plan_.filter = filter_of(data);
  const bool inception = data.crop() == "inception";
  warn_if_idle("data.resize", inception, "data.crop is inception");
  for (const char* key : {"data.crop_area_min", "data.crop_area_max", "data.crop_aspect_min",
                          "data.crop_aspect_max"}) {
    warn_if_idle(key, !inception, "data.crop is resize-random-crop");
  }
  warn_if_idle("data.cache_memory", data.cache() == "none", "data.cache is none");
  warn_if_idle("data.cache_short_side", data.cache() != "decoded", "data.cache is not decoded");
  warn_if_idle("evaluate.resize", config_.evaluate().crop() == "none", "evaluate.crop is none");
}

void Planner::plan_evaluation() {
  if (!evaluation_) return;
  const auto& config = config_.evaluate();
  plan_.evaluation_records = evaluation_->records;
  plan_.evaluation_batch = config.batch() > 0 ? config.batch() : plan_.order.batch;
  if (plan_.evaluation_batch % u64(plan_.ranks) != 0) {
    mistake("evaluate.batch", fmt::format("is {}: {} images cannot be split over {} ranks",
                                          config.batch(), plan_.evaluation_batch, plan_.ranks));
  }
  const std::uint32_t size = config_.data().image_size();
  if (config.crop() == "centre") {  // the paper's 224 of 256, rounded
    plan_.evaluation_resize = config.resize() > 0 ? config.resize() : (size * 256 + 112) / 224;
  }
  if (!config.every().empty()) {
    plan_.evaluate_every = std::max<std::uint64_t>(
        1, to_steps(parse_duration(config.every()).value_or(Duration{}), plan_.steps_per_epoch));
  }
}

void Planner::plan_memory() {
  const auto ranks = u64(plan_.ranks);
  const std::uint64_t size = config_.data().image_size();
  auto& memory = plan_.memory;
  memory.weights = memory.momentum = memory.gradients = plan_.parameters * sizeof(float);
  memory.activations = trainer::activation_bytes(
      plan_.model, static_cast<int>(size), static_cast<int>(plan_.micro_batch), plan_.precision);
  memory.snapshot = (memory.weights + memory.momentum) / ranks;
  memory.ring = plan_.rank_batch * size * size * 3 * config_.data().prefetch();
  const double mean_record =
      static_cast<double>(plan_.data.bytes) / static_cast<double>(plan_.data.records);
  // Two windows; without windows, what the batches that are decoded ahead read.
  const std::uint64_t ahead = plan_.order.block == 1 ? plan_.order.batch * config_.data().prefetch()
                                                     : 2 * plan_.order.window;
  const std::uint64_t held = std::min(ahead, plan_.data.records) / ranks;
  memory.encoded = static_cast<std::uint64_t>(std::ceil(static_cast<double>(held) * mean_record));
  plan_cache();
  plan_.window_memory_limit = parse_bytes(config_.data().window_memory()).value_or(0);
  if (plan_.order.block > 1 && memory.encoded > plan_.window_memory_limit) {
    mistake("data.window",
            fmt::format(
                "is {}: two windows of {} records need {:.1f} MB on each rank, data.window_memory "
                "allows {}",
                config_.data().window(), plan_.order.window,
                static_cast<double>(memory.encoded) / 1e6, config_.data().window_memory()));
  }
}

void Planner::plan_evaluation_memory() {
  const std::uint64_t size = config_.data().image_size();
  plan_.memory.weights = plan_.parameters * sizeof(float);
  plan_.memory.ring = plan_.evaluation_batch / u64(plan_.ranks) * size * size * 3 *
                      trainer::EvaluationSettings().prefetch;
}

// Every rank meets every record sooner or later.
void Planner::plan_cache() {
  const std::string& kind = config_.data().cache();
  if (kind == "none") return;
  const bool encoded = kind == "encoded";
  plan_.cache = encoded ? pipeline::CacheKind::kEncoded : pipeline::CacheKind::kDecoded;
  plan_.cache_needed = encoded ? plan_.data.bytes : 3 * plan_.data.pixels;
  plan_.cache_short_side = encoded ? 0 : config_.data().cache_short_side();
  plan_.memory.cache = parse_bytes(config_.data().cache_memory()).value_or(0);
  // A short side makes images smaller than the index knows them.
  if (plan_.cache_needed > 0 && plan_.cache_needed < plan_.memory.cache) {
    plan_.memory.cache = plan_.cache_needed;
  }
}

}  // namespace

std::uint64_t default_lanes(std::uint64_t batch) { return largest_divisor(batch, kDefaultLanes); }

std::uint64_t window_of_lanes(std::uint64_t window, std::uint64_t lanes) {
  const std::uint64_t wanted = window > 0 ? window : kDefaultWindow;
  return std::max<std::uint64_t>(1, (wanted + lanes / 2) / lanes) * lanes;
}

RunPlan make_plan(const LoadedConfig& loaded, const DatasetFacts& train,
                  const std::optional<DatasetFacts>& evaluation,
                  const cluster::Topology& topology) {
  return Planner(loaded, train, evaluation).make(topology);
}

}  // namespace bit::launcher
