// The loader of a training run, from its settings.
#pragma once

#include <memory>

#include "pipeline/loader.h"
#include "trainer/train_loop.h"

namespace bit::trainer {

// Begins at global batch `first`. `dataset` and `order` outlive it.
std::unique_ptr<pipeline::Loader> training_loader(const TrainSettings& settings,
                                                  const storage::Dataset& dataset,
                                                  const pipeline::Order& order, std::uint64_t first,
                                                  const cluster::Communicator& communicator);

}  // namespace bit::trainer
