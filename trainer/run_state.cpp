#include "trainer/run_state.h"

#include <fmt/format.h>

#include "storage/tfrecord.h"
#include "trainer/train_loop.h"

namespace bit::trainer {
namespace {

constexpr const char* kAnomalyPolicy = "anomaly policy";

}  // namespace

std::vector<NamedTensor> state_of(const ResNetV2& model, const SgdMomentum& optimizer) {
  std::vector<NamedTensor> tensors;
  const auto& parameters = model.parameters();
  for (const auto& parameter : parameters)
    tensors.emplace_back("model/" + parameter.name, parameter.value);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    tensors.emplace_back("momentum/" + parameters[i].name, optimizer.momentum_buffers()[i]);
  }
  return tensors;
}

void keep_policy(const AnomalyPolicy& policy, schemas::CheckpointManifest& manifest) {
  (*manifest.mutable_state())[kAnomalyPolicy] = policy.state();
}

void restore_policy(const schemas::CheckpointManifest& manifest, const std::string& path,
                    AnomalyPolicy& policy) {
  const auto state = manifest.state().find(kAnomalyPolicy);
  if (state == manifest.state().end()) return;
  try {
    policy.set_state(state->second);
  } catch (const std::invalid_argument& error) {
    throw storage::DataError(path + ": " + error.what());
  }
}

void report_save(const std::optional<CheckpointReport>& outcome, MetricSink& sink) {
  if (!outcome) return;
  sink.checkpoint(*outcome);
  if (!outcome->ok) {
    throw SaveError(
        fmt::format("the checkpoint at step {} failed: {}", outcome->step, outcome->error));
  }
}

}  // namespace bit::trainer
