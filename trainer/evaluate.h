// Exact evaluation: every record of a split counts once, on any number of ranks; padding is masked.
#pragma once

#include <cstdint>

#include "cluster/communicator.h"
#include "pipeline/crop.h"
#include "storage/dataset.h"
#include "trainer/loss.h"
#include "trainer/metrics.h"
#include "trainer/resnet_v2.h"

namespace bit::trainer {

struct EvaluationSettings {
  std::uint64_t batch = 0;   // global; a multiple of the ranks
  std::uint32_t resize = 0;  // short side in pixels before the centre crop; 0: all of the image
  std::uint32_t image_size = 0;
  pipeline::ResizeFilter filter = pipeline::ResizeFilter::kTriangle;
  unsigned decoder_threads = 1;
  unsigned reader_threads = 1;
  unsigned prefetch = 2;
};

// Collective. Same report on all ranks (step is left 0). Unusable records are counted as skipped,
// not as wrong.
EvalReport evaluate(const ResNetV2& model, LossKind loss, const storage::Dataset& dataset,
                    const EvaluationSettings& settings, cluster::Communicator& communicator);

}  // namespace bit::trainer
