// job: evaluate. The numbers of given weights on a split, and nothing else.
#pragma once

#include "cluster/communicator.h"
#include "storage/dataset.h"
#include "trainer/metrics.h"
#include "trainer/train_loop.h"

namespace bit::trainer {

// Collective. `settings.init` names the weights, head included: any format, a checkpoint, or a run,
// of which the newest checkpoint is taken. Same report on all ranks; sent to `sink` on rank 0.
// Throws DataError and StorageError on the rank that meets them, DataError on all when the head is
// of other classes.
EvalReport evaluate_weights(const TrainSettings& settings, const storage::Dataset& dataset,
                            cluster::Communicator& communicator, MetricSink& sink);

}  // namespace bit::trainer
