// model.safetensors, what a run leaves at its end: the weights under timm's names, with model and
// step in the metadata.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/resnet_v2.h"

namespace bit::trainer {

struct FinishedModel {
  std::string path;
  std::string name;        // R50x1, ...
  std::uint64_t step = 0;  // updates in the weights
};

// True when the file is there and holds exactly this: the name, the step and every weight. A file
// that cannot be read as safetensors holds nothing.
bool is_written(const FinishedModel& model, const std::vector<Parameter>& parameters);

// Durable, and atomic: a file that was there stays whole until the new one is.
void write_model(const FinishedModel& model, const std::vector<Parameter>& parameters);

}  // namespace bit::trainer
