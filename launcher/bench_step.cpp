// bit-bench step: images a second of forward, backward and update on one process, without data or
// other ranks.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "launcher/bench.h"
#include "launcher/bench_support.h"
#include "launcher/exit_code.h"
#include "trainer/loss.h"
#include "trainer/optimizer.h"
#include "trainer/prepare_cpu.h"
#include "trainer/resnet_v2.h"

namespace bit::launcher {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWarmUpSteps = 3;
constexpr double kWindowSeconds = 2;  // a window holds at least one step

struct StepSettings {
  std::string model = "R50x1";
  int classes = 1000;
  int batch = 16;
  int image_size = 128;
  std::string precision = "bf16";
  int threads = 2;
  double seconds = 30;
  BenchMode mode;
};

struct Phases {
  double forward = 0;
  double backward = 0;
  double optimizer = 0;
  double total() const { return forward + backward + optimizer; }
};

struct Window {
  Phases phases;
  int steps = 0;
};

double seconds_since(Clock::time_point& mark) {
  const auto now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - mark).count();
  mark = now;
  return seconds;
}

// A batch of noise and labels that walk through the classes.
class Workload {
 public:
  explicit Workload(const StepSettings& settings)
      : model_(trainer::parse_model_name(settings.model, settings.classes),
               settings.precision == "bf16" ? trainer::Precision::kBf16 : trainer::Precision::kFp32,
               /*seed=*/0),
        optimizer_(model_.parameters(), {.momentum = 0.9, .weight_decay = 1e-4}),
        images_(at::randint(0, 256, {settings.batch, settings.image_size, settings.image_size, 3},
                            at::kByte)) {
    for (int i = 0; i < settings.batch; ++i) labels_.push_back({i % settings.classes});
  }

  void step(Phases& phases) {
    auto mark = Clock::now();
    const at::Tensor loss =
        trainer::loss_sum(trainer::LossKind::kSoftmax, model_.forward(images_), labels_);
    phases.forward += seconds_since(mark);
    loss.backward();
    phases.backward += seconds_since(mark);
    optimizer_.step(0.001, 1 / static_cast<double>(images_.size(0)));
    phases.optimizer += seconds_since(mark);
  }

 private:
  trainer::ResNetV2 model_;
  trainer::SgdMomentum optimizer_;
  at::Tensor images_;
  std::vector<std::vector<std::int32_t>> labels_;
};

void warm_up(Workload& workload, int steps) {
  Phases ignored;
  for (int i = 0; i < steps; ++i) workload.step(ignored);
}

Window measure_window(Workload& workload, double seconds) {
  Window window;
  do {
    workload.step(window.phases);
    ++window.steps;
  } while (window.phases.total() < seconds);
  return window;
}

std::vector<Window> measure(Workload& workload, double seconds) {
  std::vector<Window> windows;
  double measured = 0;
  while (measured < seconds || windows.empty()) {
    windows.push_back(measure_window(workload, std::min(kWindowSeconds, seconds)));
    measured += windows.back().phases.total();
  }
  return windows;
}

void report(const StepSettings& settings, std::vector<Window> windows) {
  auto rate = [&](const Window& window) {
    return settings.batch * window.steps / window.phases.total();
  };
  std::sort(windows.begin(), windows.end(),
            [&](const Window& a, const Window& b) { return rate(a) < rate(b); });
  const Window& median = windows[windows.size() / 2];
  const double milliseconds = 1000.0 / median.steps;
  fmt::print("{} {} px, batch {}, {}, {} threads, {} windows\n", settings.model,
             settings.image_size, settings.batch, settings.precision, settings.threads,
             windows.size());
  fmt::print("forward {:.1f} ms, backward {:.1f} ms, optimizer {:.1f} ms\n",
             median.phases.forward * milliseconds, median.phases.backward * milliseconds,
             median.phases.optimizer * milliseconds);
  fmt::print("{:.2f} images/s ({:.2f} to {:.2f})\n", rate(median), rate(windows.front()),
             rate(windows.back()));
  const nlohmann::ordered_json result = {
      {"benchmark", "step"},
      {"model", settings.model},
      {"classes", settings.classes},
      {"batch", settings.batch},
      {"image_size", settings.image_size},
      {"precision", settings.precision},
      {"threads", settings.threads},
      {"images_per_second", rate(median)},
      {"forward_seconds", median.phases.forward / median.steps},
      {"backward_seconds", median.phases.backward / median.steps},
      {"optimizer_seconds", median.phases.optimizer / median.steps},
      {"windows", windows.size()},
      {"peak_rss_bytes", peak_rss_bytes()},
  };
  fmt::print("{}\n", result.dump());
}

}  // namespace

int bench_step(int argc, char** argv) {
  StepSettings settings;
  CLI::App app("Images a second of forward, backward and update on one process", "bit-bench step");
  app.add_option("--model", settings.model, "R50x1, R101x3, R26x0.5, ...")->capture_default_str();
  app.add_option("--classes", settings.classes)->capture_default_str()->check(positive());
  app.add_option("--batch", settings.batch)->capture_default_str()->check(positive());
  app.add_option("--image-size", settings.image_size, "pixels a side")
      ->capture_default_str()
      ->check(positive());
  app.add_option("--precision", settings.precision)
      ->capture_default_str()
      ->check(one_of({"fp32", "bf16"}));
  app.add_option("--threads", settings.threads)->capture_default_str()->check(positive());
  add_mode(app, settings.mode);
  app.add_option("--seconds", settings.seconds, "to measure, after the warm-up")
      ->capture_default_str()
      ->check(positive());
  if (const auto code = parse_arguments(app, argc, argv)) return *code;
  warn_of_threads(settings.threads);
  apply_simd(settings.mode);
  trainer::prepare_cpu(settings.threads);
  Workload workload(settings);
  warm_up(workload, kWarmUpSteps);
  if (settings.mode.on_request) {
    answer_requests([&](double seconds) {
      warm_up(workload, 1);  // others had the caches since the last window
      const double cpu_before = cpu_seconds();
      const Window window = measure_window(workload, seconds);
      const auto images = static_cast<std::uint64_t>(settings.batch) * window.steps;
      return MeasuredWindow{images, window.phases.total(), cpu_seconds() - cpu_before};
    });
    return kDone;
  }
  report(settings, measure(workload, settings.seconds));
  return kDone;
}

}  // namespace bit::launcher
