// What of a run is in its checkpoints besides the step.
#pragma once

#include <optional>
#include <vector>

#include "schemas/checkpoint.pb.h"
#include "trainer/anomaly_policy.h"
#include "trainer/checkpointer.h"
#include "trainer/optimizer.h"
#include "trainer/resnet_v2.h"

namespace bit::trainer {

// Weights and momentum; handles.
std::vector<NamedTensor> state_of(const ResNetV2& model, const SgdMomentum& optimizer);

void keep_policy(const AnomalyPolicy& policy, schemas::CheckpointManifest& manifest);
// Leaves the policy as it is for a manifest that knows none. DataError naming `path` for one that
// cannot be read.
void restore_policy(const schemas::CheckpointManifest& manifest, const std::string& path,
                    AnomalyPolicy& policy);

// Passes on how a save ended, if one did. Throws SaveError when it failed.
void report_save(const std::optional<CheckpointReport>& outcome, MetricSink& sink);

}  // namespace bit::trainer
