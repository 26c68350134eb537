// What a run needs besides its data: a directory it can write, and weights or checkpoints to start
// from. Looked at before the start; nothing is left behind.
#pragma once

#include <vector>

#include "launcher/config.h"
#include "launcher/plan.h"

namespace bit::launcher {

// Where the run would start. Throws ConfigError when model.init cannot be used; StorageError when
// the output directory cannot be made or written. Checkpoints are listed, not read: a damaged one
// is found out at the start.
RunStart find_start(const LoadedConfig& loaded, const RunPlan& plan);

struct WeightShape {
  std::string name;  // timm's
  std::vector<std::int64_t> shape;
};
// Every parameter of the network, without building it.
std::vector<WeightShape> weight_shapes(const trainer::ResNetConfig& config);

}  // namespace bit::launcher
