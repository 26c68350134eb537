// The plan as a table for people (--dry-run).
#include <fmt/core.h>

#include "launcher/plan.h"
#include "launcher/progress_sink.h"

namespace bit::launcher {
namespace {

// JPEG bytes that one core decodes, crops and resizes in a second. Assumption, measured with
// libjpeg-turbo on photographs of 500 x 375 (110 kB, 224 px crops): about 550 images a second.
// `bit-bench loader` measures this machine.
constexpr double kDecodedBytesPerCoreSecond = 60e6;
constexpr double kTargetImagesPerSecond = 1000;  // read rate and decode cores are stated for it

std::string bytes_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < std::size(kUnits)) {
    bytes /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string bytes_text(std::uint64_t bytes) { return bytes_text(static_cast<double>(bytes)); }

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

void describe_data(const RunPlan& plan, Table& table) {
  const double mean = static_cast<double>(plan.data.bytes) / static_cast<double>(plan.data.records);
  table.section("data");
  table.row("records", fmt::format("{} of {} on average, {} in all", plan.data.records,
                                   bytes_text(mean), bytes_text(plan.data.bytes)));
  table.row("order", fmt::format("{} lanes, window {}, block {}, seed {}", plan.order.lanes,
                                 plan.order.window, plan.order.block, plan.order.seed));
  table.row("for 1000 images/s",
            fmt::format("read {}/s, {:.1f} cores to decode (assuming {}/s a core)",
                        bytes_text(kTargetImagesPerSecond * mean),
                        kTargetImagesPerSecond * mean / kDecodedBytesPerCoreSecond,
                        bytes_text(kDecodedBytesPerCoreSecond)));
}

void describe_schedule(const RunPlan& plan, Table& table) {
  const auto& schedule = plan.schedule;
  table.section("schedule");
  table.row("batch", fmt::format("{} = {} ranks x {} images, {} at a time", plan.order.batch,
                                 plan.ranks, plan.rank_batch, plan.micro_batch));
  table.row("steps", fmt::format("{} in all, {} an epoch, {:.2f} epochs", schedule.total_steps,
                                 plan.steps_per_epoch, plan.epochs));
  table.row("learning rate",
            fmt::format("{:g}, warm-up {} steps", schedule.peak, schedule.warmup_steps));
  std::string drops;
  for (const std::uint64_t drop : schedule.drops)
    drops += (drops.empty() ? "" : ", ") + std::to_string(drop);
  table.row("drops", drops.empty()
                         ? "none"
                         : fmt::format("x {:g} at steps {}", schedule.drop_factor, drops));
  if (plan.evaluation_records > 0) {
    table.row(
        "evaluation",
        fmt::format("{} records, {} at a time, {}", plan.evaluation_records, plan.evaluation_batch,
                    plan.evaluate_every == 0
                        ? std::string("at the end")
                        : fmt::format("every {} steps and at the end", plan.evaluate_every)));
  } else {
    table.row("evaluation", "none");
  }
  table.row("checkpoints",
            plan.checkpoint_every_steps > 0
                ? fmt::format("every {} steps", plan.checkpoint_every_steps)
                : fmt::format("every {} (h:mm:ss)", clock_text(plan.checkpoint_every_seconds)));
}

void describe_ranks(const RunPlan& plan, Table& table) {
  table.section("ranks");
  table.row("ranks", fmt::format("{}, {} on this host of {} cores", plan.ranks, plan.local_ranks,
                                 plan.host_cores));
  table.row("threads of a rank",
            fmt::format("{} compute, {} decoders, {} readers", plan.compute_threads,
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
  table.row("together",
            fmt::format("{}, {} on this host", bytes_text(memory.total()),
                        bytes_text(memory.total() * static_cast<std::uint64_t>(plan.local_ranks))));
}

}  // namespace

std::string describe(const RunPlan& plan) {
  Table table;
  describe_model(plan, table);
  describe_data(plan, table);
  describe_schedule(plan, table);
  describe_ranks(plan, table);
  describe_memory(plan, table);
  std::string text = table.text();
  for (const std::string& warning : plan.warnings) text += "\nwarning: " + warning;
  return text + (plan.warnings.empty() ? "" : "\n");
}

}  // namespace bit::launcher
