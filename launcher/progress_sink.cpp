#include "launcher/progress_sink.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iostream>

namespace bit::launcher {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kSmoothing = 0.1;  // weight of the newest report
constexpr int kNarrowestBar = 10;   // columns; narrower ones are left out

// Columns of the terminal behind `path`; 0 when it is none.
int terminal_width(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (descriptor < 0) return 0;
  winsize size{};
  const bool known = isatty(descriptor) == 1 && ioctl(descriptor, TIOCGWINSZ, &size) == 0;
  close(descriptor);
  return known ? (size.ws_col > 0 ? size.ws_col : 80) : 0;
}

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 100 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

void smooth(double& value, double newest, bool first) {
  if (!std::isfinite(newest)) return;
  value = first ? newest : value + kSmoothing * (newest - value);
}

}  // namespace

std::string clock_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(std::clamp(seconds, 0.0, 1e12)));
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

ProgressOptions standard_output_progress() {
  ProgressOptions options;
  options.out = &std::cout;
  const bool under_mpirun = std::getenv("OMPI_COMM_WORLD_RANK") != nullptr;
  // Open MPI gives ranks a pseudo terminal whatever its own output is.
  options.width =
      terminal_width(under_mpirun ? fmt::format("/proc/{}/fd/1", getppid()) : "/proc/self/fd/1");
  options.now = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  return options;
}

void ProgressSink::start(const trainer::StartReport& report) {
  last_time_ = options_.now();
  last_step_ = report.first_step;
  if (!report.evaluated_weights.empty()) {
    say("evaluating " + report.evaluated_weights);
    return;
  }
  const std::string ranks = report.ranks == 1 ? "1 rank" : fmt::format("{} ranks", report.ranks);
  say(report.resumed_from.empty()
          ? fmt::format("training {} steps on {}", report.total_steps, ranks)
          : fmt::format("resumed from {}: step {} of {}, on {}", report.resumed_from,
                        report.first_step, report.total_steps, ranks));
}

void ProgressSink::step(const trainer::StepReport& report) {
  observe(report);
  const double now = options_.now();
  const bool last = report.step == report.total_steps;
  if (options_.width > 0) {
    if (last || now - drawn_at_ >= kRedrawSeconds) redraw(report);
  } else if (last || now - drawn_at_ >= options_.plain_seconds) {
    say(status(report, "  "));
    drawn_at_ = now;
  }
}

void ProgressSink::evaluation(const trainer::EvalReport& report) {
  const std::string skipped =
      report.skipped == 0 ? "" : fmt::format(", {} skipped", report.skipped);
  say(fmt::format(
      "evaluated step {} on {}: top-1 {:.2f}%  top-5 {:.2f}%  loss {:.4f}  ({} records{}, {})",
      report.step, report.split, 100 * report.top1, 100 * report.top5, report.loss, report.records,
      skipped, clock_text(report.seconds)));
}

void ProgressSink::checkpoint(const trainer::CheckpointReport& report) {
  if (!report.ok) return;  // it ends the run, which says why
  say(fmt::format("checkpoint at step {}: {} ({:.1f} MB in {:.1f} s, training waited {:.0f} ms)",
                  report.step, report.path, static_cast<double>(report.bytes) / 1e6, report.seconds,
                  1000 * report.blocked_seconds));
}

void ProgressSink::done(const trainer::DoneReport& report) {
  const std::string model = report.model.empty() ? "" : "; weights: " + report.model;
  say(fmt::format("{} at step {} after {}{}", report.reason, report.step,
                  clock_text(report.seconds), model));
}

void ProgressSink::failed(const trainer::FailureReport& /*report*/) {
  if (options_.width > 0 && observed_) *options_.out << '\n' << std::flush;
}

void ProgressSink::note(const std::string& text) { say(text); }

void ProgressSink::observe(const trainer::StepReport& report) {
  const double now = options_.now();
  const bool first = !observed_;
  const auto steps = static_cast<double>(report.step > last_step_ ? report.step - last_step_ : 1);
  smooth(seconds_per_step_, first ? report.step_seconds : (now - last_time_) / steps, first);
  smooth(images_per_second_, report.images_per_second, first);
  smooth(wait_share_, report.step_seconds > 0 ? report.data_wait_seconds / report.step_seconds : 0,
         first);
  last_time_ = now;
  last_step_ = report.step;
  observed_ = true;
}

std::string ProgressSink::status(const trainer::StepReport& report, const char* separator) const {
  const double left =
      static_cast<double>(report.total_steps - std::min(report.step, report.total_steps));
  const std::string rate =
      fmt::format("{:.{}f}", images_per_second_, images_per_second_ < 10 ? 1 : 0);
  return fmt::format(
      "step {}/{} {:.0f}%{s}epoch {:.2f}{s}loss {:.4f}{s}learning rate {:.3g}{s}{} img/s{s}data "
      "wait "
      "{:.0f}%{s}{} left",
      report.step, report.total_steps, std::floor(percent(report.step, report.total_steps)),
      report.epoch, report.loss, report.learning_rate, rate, 100 * wait_share_,
      clock_text(left * seconds_per_step_), fmt::arg("s", separator));
}

// "[=====>    ] step ..." in one line of the terminal; what does not fit is cut off.
void ProgressSink::redraw(const trainer::StepReport& report) {
  std::string line = status(report, " | ");
  const std::string norm = fmt::format(" | gradient {:.3g}", report.gradient_norm);
  if (line.size() + norm.size() + 4 + kNarrowestBar <= static_cast<std::size_t>(options_.width)) {
    line += norm;
  }
  const int room = options_.width - 1 - static_cast<int>(line.size()) - 3;
  if (room >= kNarrowestBar) {
    const int full = static_cast<int>(room * percent(report.step, report.total_steps) / 100);
    std::string bar(static_cast<std::size_t>(full), '=');
    if (full > 0 && full < room) bar.back() = '>';
    bar.resize(static_cast<std::size_t>(room), ' ');
    line = "[" + bar + "] " + line;
  }
  line.resize(std::min(line.size(), static_cast<std::size_t>(options_.width - 1)));
  *options_.out << '\r' << line << "\x1b[K" << std::flush;
  drawn_at_ = options_.now();
}

// A line that stays. On a terminal it takes the place of the bar, which the next step draws below
// it.
void ProgressSink::say(const std::string& line) {
  if (options_.width > 0) {
    *options_.out << '\r' << line << "\x1b[K\n" << std::flush;
    drawn_at_ = -1e9;
  } else {
    *options_.out << line << '\n' << std::flush;
  }
}

}  // namespace bit::launcher
