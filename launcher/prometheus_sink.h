// The numbers of a run for Prometheus, served over HTTP on rank 0 (metric names: docs/formats.md).
// Off unless asked for.
#pragma once

#include <memory>
#include <string>

#include "trainer/metrics.h"

namespace bit::launcher {

class PrometheusSink final : public trainer::MetricSink {
 public:
  // Listens on "host:port"; ":9400" listens on 127.0.0.1 only, port 0 takes a free one. Throws
  // ConfigError naming the address when it cannot.
  explicit PrometheusSink(const std::string& address);
  ~PrometheusSink() override;

  int port() const;

  void start(const trainer::StartReport& report) override;
  void step(const trainer::StepReport& report) override;
  void anomaly(const trainer::AnomalyReport& report) override;
  void evaluation(const trainer::EvalReport& report) override;
  void checkpoint(const trainer::CheckpointReport& report) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bit::launcher
