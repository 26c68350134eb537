// What a person at a terminal sees: one line that is redrawn, with a bar. Without a terminal: a
// plain line now and then.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "trainer/metrics.h"

namespace bit::launcher {

struct ProgressOptions {
  std::ostream* out;            // outlives the sink
  int width = 0;                // columns of the terminal; 0: no terminal, plain lines
  double plain_seconds = 10;    // at least so long between two plain lines of steps
  std::function<double()> now;  // seconds of a clock that only goes forward
};

// Standard output, and whether a person sees it. Under mpirun a rank's own standard output says
// nothing about that: mpirun's does, when it is this process's parent.
ProgressOptions standard_output_progress();

class ProgressSink final : public trainer::MetricSink {
 public:
  explicit ProgressSink(ProgressOptions options = standard_output_progress())
      : options_(std::move(options)) {}

  void start(const trainer::StartReport& report) override;
  void step(const trainer::StepReport& report) override;
  void evaluation(const trainer::EvalReport& report) override;
  void checkpoint(const trainer::CheckpointReport& report) override;
  void done(const trainer::DoneReport& report) override;
  // Ends the line of the bar: the reason follows on standard error.
  void failed(const trainer::FailureReport& report) override;
  void note(const std::string& text) override;

 private:
  void observe(const trainer::StepReport& report);
  std::string status(const trainer::StepReport& report, const char* separator) const;
  void redraw(const trainer::StepReport& report);
  void say(const std::string& line);

  ProgressOptions options_;
  double last_time_ = 0;    // of the last report
  double drawn_at_ = -1e9;  // of the last line
  std::uint64_t last_step_ = 0;
  double seconds_per_step_ = 0;   // smoothed, checkpoints and evaluations included
  double images_per_second_ = 0;  // smoothed
  double wait_share_ = 0;         // smoothed
  bool observed_ = false;
};

// "1:02:03", "12:34", "0:07".
std::string clock_text(double seconds);

}  // namespace bit::launcher
