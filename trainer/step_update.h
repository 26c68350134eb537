// From the gradient of a step to new weights, or to what the anomaly policy does instead.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cluster/communicator.h"
#include "trainer/anomaly_policy.h"
#include "trainer/checkpointer.h"
#include "trainer/metrics.h"
#include "trainer/optimizer.h"
#include "trainer/resnet_v2.h"
#include "trainer/train_loop.h"

namespace bit::trainer {

class StepUpdate {
 public:
  // All of them outlive this.
  struct Run {
    const TrainSettings& settings;
    cluster::Communicator& communicator;
    Checkpointer& checkpointer;
    MetricSink& sink;  // silent on ranks other than 0
    ResNetV2& model;
    SgdMomentum& optimizer;
    AnomalyPolicy& policy;
  };
  explicit StepUpdate(const Run& run) : run_(run) {}

  // Norm of the mean gradient, before anything is decided. NaN when neither clipping nor the policy
  // wants it: it costs a pass over the gradient.
  double gradient_norm() const;

  // Collective. `report` has the step, its learning rate, and its loss and gradient norm as all
  // ranks know them; gets the norms. The gradient is used up, and the weights are finite. Throws
  // DivergedError, SaveError.
  void run(StepReport& report);

 private:
  // Why a step has no ordinary update.
  struct Cause {
    Anomaly anomaly = Anomaly::kNotFinite;
    std::string text;
    double average = 0;          // of the losses before
    bool state_led_here = true;  // whatever the learning rate
  };

  bool wants_norm() const;
  double mean_scale() const { return 1.0 / static_cast<double>(run_.settings.order.batch); }
  void apply(StepReport& report, double average);
  void act(const Cause& cause, Decision decision, const StepReport& report);
  std::optional<std::uint64_t> roll_back(const std::string& cause, std::uint64_t step);
  std::string cause_text(Anomaly anomaly, double average, const StepReport& report) const;
  [[noreturn]] void diverged(const std::string& cause, std::uint64_t step, bool state_led_here);

  Run run_;
};

}  // namespace bit::trainer
