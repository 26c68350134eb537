// Weights in and out of the network's parameters.
#pragma once

#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "storage/safetensors.h"
#include "trainer/resnet_v2.h"
#include "trainer/weight_source.h"

namespace bit::trainer {

// Views of the parameters as timm expects them, so that an exported file loads there unchanged:
// OIHW, contiguous; head.fc.weight is [classes, features, 1, 1]. The views point into
// `storage_out`, which the caller keeps alive.
std::vector<storage::TensorView> export_views(const std::vector<Parameter>& parameters,
                                              std::vector<at::Tensor>& storage_out);

// Copies the weights into the parameters. All of them have to be there, with their shapes, and
// nothing else: DataError "<path>: <what does not fit>", before anything is changed. With
// `head_optional`, a head that is missing or of other classes is left as it is (returns false).
bool import_weights(const WeightSource& source, const std::vector<Parameter>& parameters,
                    bool head_optional);

// The same for a file, a checkpoint or a run (WeightSource), head optional, on all ranks: rank 0
// reads, all receive. Collective.
bool load_weights(const std::string& path, cluster::Communicator& communicator,
                  const std::vector<Parameter>& parameters);

}  // namespace bit::trainer
