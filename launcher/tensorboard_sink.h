// TensorBoard events: a TFRecord file of tensorboard.Event messages with scalars
// (schemas/event.proto). Every process opens a new file; TensorBoard joins them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "launcher/append_file.h"
#include "schemas/event.pb.h"
#include "storage/tfrecord.h"
#include "trainer/metrics.h"

namespace bit::launcher {

class TensorboardSink final : public trainer::MetricSink {
 public:
  // Writes <directory>/events.out.tfevents.<unix seconds>.<host>.<pid>, from the first scalar on.
  explicit TensorboardSink(std::string directory) : directory_(std::move(directory)) {}

  void step(const trainer::StepReport& report) override;
  void layers(const trainer::LayersReport& report) override;
  void evaluation(const trainer::EvalReport& report) override;

 private:
  void open();
  void write(const schemas::Event& event);
  void write_scalars(std::uint64_t step,
                     const std::vector<std::pair<std::string, double>>& scalars);

  std::string directory_;
  std::unique_ptr<AppendFile> file_;
  std::unique_ptr<storage::RecordWriter> records_;
};

}  // namespace bit::launcher
