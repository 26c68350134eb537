// Whether a checkpoint may be gone on from with the settings of this run, and what differs.
#pragma once

#include <string>
#include <vector>

#include "schemas/checkpoint.pb.h"
#include "trainer/train_loop.h"

namespace bit::trainer {

// Notes in `manifest` the settings that say what the weights mean.
void record_meaning(schemas::CheckpointManifest& manifest, const TrainSettings& settings,
                    const std::string& dataset_hash);

// Throws ResumeMismatch when the checkpoint at `path` belongs to a run whose weights mean something
// else, or is past the end of this run's schedule.
void require_resumable(const schemas::CheckpointManifest& manifest, const std::string& path,
                       const TrainSettings& settings, const std::string& dataset_hash);

// "model.precision: fp32 → bf16" for every setting whose value differs between two configurations
// in the text format of schemas.RunConfig. Fields this program does not know are left out.
std::vector<std::string> changed_settings(const std::string& before, const std::string& after);

}  // namespace bit::trainer
