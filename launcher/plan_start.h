// What a run needs besides its data: a directory it can write, and weights or checkpoints to start
// from. Looked at before the start; nothing is left behind.
#pragma once

#include <vector>

#include "launcher/config.h"
#include "launcher/plan.h"

namespace bit::launcher {

// Where the run would start. Throws ConfigError when model.init cannot be used; StorageError when
// the output directory cannot be made or written; trainer::ResumeMismatch when the newest
// checkpoint is of another run. Of that only the manifest is read: damage is found out at the
// start.
RunStart find_start(const LoadedConfig& loaded, const RunPlan& plan,
                    const std::string& dataset_hash);

}  // namespace bit::launcher
