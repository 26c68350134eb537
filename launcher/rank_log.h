// One log per rank: <output>/log/rank-<n>.log, a JSON object a line with time (UTC), level, rank,
// host and message. Warnings of rank 0 go to standard error as well; errors end the program, which
// says them there itself.
#pragma once

#include <memory>
#include <string>

#include "trainer/metrics.h"

namespace spdlog {
class logger;
}

namespace bit::launcher {

// May be used from several threads.
class RankLog {
 public:
  // Appends; <output>/log is made when it does not exist. Throws StorageError naming the file.
  RankLog(const std::string& output, int rank, const std::string& host);
  ~RankLog();

  void info(const std::string& message);
  void warn(const std::string& message);
  void error(const std::string& message);

 private:
  std::shared_ptr<spdlog::logger> file_;
  std::shared_ptr<spdlog::logger> terminal_;
};

// The reports of a run in its log.
class LogSink final : public trainer::MetricSink {
 public:
  explicit LogSink(RankLog& log) : log_(log) {}

  void start(const trainer::StartReport& report) override;
  void step(const trainer::StepReport& report) override;
  void evaluation(const trainer::EvalReport& report) override;
  void checkpoint(const trainer::CheckpointReport& report) override;
  void done(const trainer::DoneReport& report) override;
  void note(const std::string& text) override;

 private:
  RankLog& log_;
};

}  // namespace bit::launcher
