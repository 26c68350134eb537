// The plan as a table for people (--dry-run).
#include <fmt/core.h>

#include <cmath>
#include <variant>

#include "launcher/plan.h"
#include "launcher/shard_commands/progress_line.h"
#include "launcher/words.h"

namespace bit::launcher {
namespace {

// JPEG bytes that one core decodes, crops and resizes in a second. Assumption, measured on
// photographs of 500 x 375 (110 kB, 224 px crops) as they are: 1076 images a second, and 1491 on
// shards prepared losslessly (docs/performance.md). `bit-bench loader` measures this machine.
constexpr double kDecodedBytesPerCoreSecond = 100e6;
constexpr double kTargetImagesPerSecond = 1000;  // read rate and decode cores are stated for it

std::string bytes_text(double bytes) {
  return human_bytes(static_cast<std::uint64_t>(std::llround(bytes)));
}
std::string bytes_text(std::uint64_t bytes) { return human_bytes(bytes); }

std::string time_text(double seconds) {
  if (std::fmod(seconds, 3600) == 0) return fmt::format("{:g} h", seconds / 3600);
  if (std::fmod(seconds, 60) == 0) return fmt::format("{:g} min", seconds / 60);
  return fmt::format("{:g} s", seconds);
}

std::string counted(int count, std::string_view noun) {
  return launcher::counted(static_cast<std::uint64_t>(count), noun);
}

class Table {
 public:
  void section(const std::string& name) { text_ += (text_.empty() ? "" : "\n") + name + "\n"; }
  void row(const std::string& name, const std::string& value) {
    text_ += fmt::format("  {:<22}{}\n", name, value);
  }
  std::string text() const { return text_; }

 private:
  std::string text_;
};

void describe_model(const RunPlan& plan, Table& table) {
  table.section("model");
  table.row("name", fmt::format("{}, {}, {} classes", plan.model_name,
                                plan.precision == trainer::Precision::kBf16 ? "bf16" : "fp32",
                                plan.model.classes));
  table.row("parameters", fmt::format("{} ({:.2f} million)", plan.parameters,
                                      static_cast<double>(plan.parameters) / 1e6));
  table.row("forward pass", fmt::format("{:.3f} G multiply-adds an image",
                                        static_cast<double>(plan.forward_macs) / 1e9));
}

std::string image_text(const RunPlan& plan, const std::string& what, bool flip) {
  return fmt::format("{} px, {}{}{}", plan.image_size, what, flip ? ", mirrored half the time" : "",
                     plan.filter == pipeline::ResizeFilter::kTriangle ? "" : ", not antialiased");
}

std::string training_images(const RunPlan& plan) {
  if (const auto* crop = std::get_if<pipeline::InceptionCropOptions>(&plan.crop)) {
    return image_text(plan,
                      fmt::format("a crop of {:g} to {:g}% of the area", crop->area_min * 100,
                                  crop->area_max * 100),
                      crop->flip);
  }
  const auto& crop = std::get<pipeline::ResizeCropOptions>(plan.crop);
  return image_text(
      plan,
      crop.resize > plan.image_size
          ? fmt::format("a random square of the image resized to {0} x {0}", crop.resize)
          : std::string("the whole image"),
      crop.flip);
}

std::string evaluation_images(const RunPlan& plan) {
  const std::string what =
      plan.evaluation_resize > 0
          ? fmt::format("the centre of the image with its short side at {}", plan.evaluation_resize)
          : "the whole image";
  return image_text(plan, what, false);
}

void describe_data(const RunPlan& plan, Table& table) {
  const double mean = static_cast<double>(plan.data.bytes) / static_cast<double>(plan.data.records);
  table.section("data");
  table.row("records", fmt::format("{} of {} on average, {} in all", plan.data.records,
                                   bytes_text(mean), bytes_text(plan.data.bytes)));
  if (!plan.evaluate_only) table.row("training images", training_images(plan));
  if (plan.evaluation_records > 0) table.row("evaluation images", evaluation_images(plan));
  if (plan.evaluate_only) return;
  const std::string window =
      plan.order.block == 1
          ? "every record by itself"
          : fmt::format("window {}, block {}", plan.order.window, plan.order.block);
  table.row("order", fmt::format("{}, {}, seed {}", launcher::counted(plan.order.lanes, "lane"),
                                 window, plan.order.seed));
  const double cores = kTargetImagesPerSecond * mean / kDecodedBytesPerCoreSecond;
  table.row("for 1000 images/s",
            fmt::format("read {}/s, {} to decode (assuming {}/s a core)",
                        bytes_text(kTargetImagesPerSecond * mean),
                        cores < 0.1 ? "less than 0.1 cores" : fmt::format("{:.1f} cores", cores),
                        bytes_text(kDecodedBytesPerCoreSecond)));
}

std::string evaluation_text(const RunPlan& plan) {
  return fmt::format("{} records, {} at a time", plan.evaluation_records, plan.evaluation_batch);
}

void describe_schedule(const RunPlan& plan, Table& table) {
  const auto& schedule = plan.schedule;
  const bool cosine = schedule.kind == trainer::ScheduleKind::kCosine;
  table.section("schedule");
  table.row("batch", fmt::format("{} = {} x {} images, {} at a time", plan.order.batch,
                                 counted(plan.ranks, "rank"), plan.rank_batch, plan.micro_batch));
  table.row("steps", fmt::format("{} in all, {} an epoch, {:.2f} epochs", schedule.total_steps,
                                 plan.steps_per_epoch, plan.epochs));
  table.row("learning rate",
            fmt::format("{:g}, warm-up {} steps{}{}", schedule.peak, schedule.warmup_steps,
                        schedule.warmup_start > 0
                            ? fmt::format(" from {:g}", schedule.peak * schedule.warmup_start)
                            : std::string(),
                        cosine ? ", then half a cosine to 0 at the end" : ""));
  std::string drops;
  for (const std::uint64_t drop : schedule.drops)
    drops += (drops.empty() ? "" : ", ") + std::to_string(drop);
  if (!cosine) {
    table.row("drops", drops.empty()
                           ? "none"
                           : fmt::format("x {:g} at steps {}", schedule.drop_factor, drops));
  }
  if (plan.evaluation_records > 0) {
    table.row("evaluation",
              fmt::format("{}, {}", evaluation_text(plan),
                          plan.evaluate_every == 0
                              ? std::string("at the end")
                              : fmt::format("every {} steps and at the end", plan.evaluate_every)));
  } else {
    table.row("evaluation", "none");
  }
  table.row("checkpoints", plan.checkpoint_every_steps > 0
                               ? fmt::format("every {} steps", plan.checkpoint_every_steps)
                               : "every " + time_text(plan.checkpoint_every_seconds));
}

void describe_ranks(const RunPlan& plan, Table& table) {
  table.section("ranks");
  table.row("ranks", fmt::format("{}, {} on this host of {}", plan.ranks, plan.local_ranks,
                                 counted(plan.host_cores, "core")));
  table.row("threads of a rank",
            fmt::format("{} compute, {} decoding, {} reading", plan.compute_threads,
                        plan.decoder_threads, plan.reader_threads));
  table.row("all-reduce",
            plan.ranks == 1 ? "none" : fmt::format("{} a step", bytes_text(plan.allreduce_bytes)));
}

void describe_memory(const RunPlan& plan, Table& table) {
  const MemoryPlan& memory = plan.memory;
  table.section("memory of a rank (estimate)");
  table.row("weights", bytes_text(memory.weights));
  table.row("momentum", bytes_text(memory.momentum));
  table.row("gradients", bytes_text(memory.gradients));
  table.row("activations", bytes_text(memory.activations));
  table.row("checkpoint snapshot", bytes_text(memory.snapshot));
  table.row("decoded batches", bytes_text(memory.ring));
  table.row("encoded records", fmt::format("{} (at most {})", bytes_text(memory.encoded),
                                           bytes_text(plan.window_memory_limit)));
  if (plan.cache != pipeline::CacheKind::kNone) {
    std::string what = plan.cache == pipeline::CacheKind::kEncoded ? "records" : "decoded images";
    if (plan.cache_short_side > 0) {
      what += fmt::format(" of short sides up to {} px", plan.cache_short_side);
    }
    table.row("image cache",
              fmt::format("{} of {} at most; {}", bytes_text(memory.cache), what,
                          plan.cache_needed == 0
                              ? std::string("the index does not know how large all are")
                              : fmt::format("all of them need {}{}",
                                            plan.cache_short_side > 0 ? "less than " : "",
                                            bytes_text(plan.cache_needed))));
  }
  table.row("together",
            fmt::format("{}, {} on this host", bytes_text(memory.total()),
                        bytes_text(memory.total() * static_cast<std::uint64_t>(plan.local_ranks))));
}

std::string describe_evaluation(const RunPlan& plan) {
  Table table;
  table.section("job");
  if (plan.start) table.row("evaluate", "the weights of " + plan.start->init);
  describe_model(plan, table);
  describe_data(plan, table);
  table.row("evaluation", evaluation_text(plan));
  describe_ranks(plan, table);
  table.section("memory of a rank (estimate)");
  table.row("weights", bytes_text(plan.memory.weights));
  table.row("decoded batches", bytes_text(plan.memory.ring));
  return table.text();
}

void describe_start(const RunStart& start, std::uint64_t total_steps, Table& table) {
  table.section("start");
  if (start.checkpoint && *start.checkpoint >= total_steps) {
    table.row("run",
              fmt::format("complete: the newest checkpoint is of step {}", *start.checkpoint));
  } else if (start.checkpoint) {
    table.row("run", fmt::format("resumes at step {} of {}, the newest checkpoint",
                                 *start.checkpoint, total_steps));
  } else if (start.init.empty()) {
    table.row("run", "new, with weights from the seed");
  } else {
    table.row("run",
              fmt::format("new, with the weights of {}{}", start.init,
                          start.head_fits ? "" : "; no head of these classes in them: from zero"));
  }
}

std::string describe_training(const RunPlan& plan) {
  Table table;
  if (plan.start) describe_start(*plan.start, plan.schedule.total_steps, table);
  describe_model(plan, table);
  describe_data(plan, table);
  describe_schedule(plan, table);
  describe_ranks(plan, table);
  describe_memory(plan, table);
  return table.text();
}

}  // namespace

std::string describe(const RunPlan& plan) {
  std::string text = plan.evaluate_only ? describe_evaluation(plan) : describe_training(plan);
  for (const std::string& warning : plan.warnings) text += "\nwarning: " + warning;
  return text + (plan.warnings.empty() ? "" : "\n");
}

}  // namespace bit::launcher
