// Decoding and resizing without a loader around it: what the loader is measured against.
#pragma once

#include <vector>

#include "pipeline/loader.h"
#include "storage/dataset.h"

namespace bit::launcher {

// One repeat of the comparison: the same images of the same batches, cut by the same plans.
struct LoaderAndBareLoop {
  double loader_seconds = 0;
  double bare_seconds = 0;
  double ratio() const { return bare_seconds / loader_seconds; }  // 1: the loader costs nothing
};

// Alternates, for `seconds` in all, between a loader of one decoder thread, which starts and ends
// with a full ring, and a loop over the images of the batches that the loader decoded, in memory,
// on this thread. Only images are decoded that need no replacement: throws DataError for others.
std::vector<LoaderAndBareLoop> compare_with_bare_loop(const storage::Dataset& dataset,
                                                      const pipeline::Order& order,
                                                      const pipeline::PlanImage& plan,
                                                      pipeline::LoaderOptions options,
                                                      double seconds);

}  // namespace bit::launcher
