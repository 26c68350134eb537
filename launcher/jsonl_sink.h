// metrics.jsonl: one JSON object for each step, evaluation, checkpoint and end (docs/formats.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "launcher/append_file.h"
#include "trainer/metrics.h"

namespace bit::launcher {

class JsonlSink final : public trainer::MetricSink {
 public:
  // `path` is opened at start().
  explicit JsonlSink(std::string path) : path_(std::move(path)) {}

  // Drops the lines of an earlier process that are past report.first_step (it went on after its
  // last checkpoint), and a last line that was cut short: every step stands in the file once. Of
  // job: evaluate only the latter.
  void start(const trainer::StartReport& report) override;
  void step(const trainer::StepReport& report) override;
  void layers(const trainer::LayersReport& report) override;
  void anomaly(const trainer::AnomalyReport& report) override;
  void evaluation(const trainer::EvalReport& report) override;
  void checkpoint(const trainer::CheckpointReport& report) override;
  void done(const trainer::DoneReport& report) override;
  // Nothing before start(): a run that was refused changes nothing.
  void failed(const trainer::FailureReport& report) override;

  // Whether the file holds an evaluation of `split` at `step` by the run itself (not job:
  // evaluate).
  bool has_evaluation(std::uint64_t step, const std::string& split) const;

 private:
  void write(const std::string& line);

  std::string path_;
  std::unique_ptr<AppendFile> file_;
  std::uint64_t step_ = 0;  // of the last report
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace bit::launcher
