// The commands of bit-model. Each prints what people want to know on standard output and returns an
// exit code; what goes wrong is thrown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "trainer/weight_names.h"

namespace bit::launcher {

// Tensors of a file or checkpoint; checkpoints of a run.
int inspect(const std::string& path);
// Every byte of every checkpoint, or of an .npz file. kNoCheckpoint when a checkpoint is bad.
int verify(const std::string& path);

struct ExportRequest {
  std::string path;  // file, checkpoint or run
  std::string output;
  std::optional<trainer::WeightFormat> format;  // absent: by the end of the output's name
  std::optional<std::uint64_t> step;            // of a run
  bool head = true;
};
// Weights of this project, or of any file, in a format of others. Throws std::invalid_argument when
// the output's name does not tell the format, or contradicts it.
int export_model(const ExportRequest& request);
// Weights of others as this project's model.safetensors.
int import_model(const ExportRequest& request);

struct DiffRequest {
  std::string a, b;
  double tolerance = 0;  // of the relative difference of a tensor
  bool head = true;
};
// Tensors that are not in both, of other shapes, and of other values. kDone when there are none,
// else kDifferent.
int diff(const DiffRequest& request);

}  // namespace bit::launcher
