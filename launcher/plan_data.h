// The splits that a run reads, opened and held against its configuration.
#pragma once

#include <optional>

#include "launcher/config.h"
#include "storage/dataset.h"

namespace bit::launcher {

struct RunData {
  storage::Dataset training;                   // job: evaluate: the split to evaluate
  std::optional<storage::Dataset> evaluation;  // none: no evaluation besides
};

// Throws ConfigError for a path or a split that is not there, naming the setting, its origin and
// the names there are; DataError and StorageError for what is there and cannot be used.
RunData open_run_data(const LoadedConfig& loaded);

}  // namespace bit::launcher
