// Weights in and out of safetensors under timm's names (timm: resnetv2.py), so that an exported
// file loads there unchanged.
#pragma once

#include <string>
#include <vector>

#include "storage/file.h"
#include "storage/safetensors.h"
#include "trainer/resnet_v2.h"

namespace bit::trainer {

// Views of the parameters as timm expects them: OIHW, contiguous; head.fc.weight is [classes,
// features, 1, 1]. The views point into `storage_out`, which the caller keeps alive.
std::vector<storage::TensorView> export_views(const std::vector<Parameter>& parameters,
                                              std::vector<at::Tensor>& storage_out);

// Copies the tensors of `file` into the parameters. Every parameter has to be there with its shape;
// DataError names the first that is not, and what the file is. With `head_optional`, a head of
// other classes is left as it is (returns false).
bool import_weights(const storage::SafetensorsFile& file, const std::vector<Parameter>& parameters,
                    bool head_optional);

}  // namespace bit::trainer
