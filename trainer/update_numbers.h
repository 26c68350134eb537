// The numbers of an update, from what its sweep left behind.
#pragma once

#include <vector>

#include "trainer/metrics.h"
#include "trainer/optimizer.h"

namespace bit::trainer {

// What the gradient is multiplied with so that its norm is `clip_norm` at most; 0: no limit. A norm
// that is not finite is left alone.
double clip_factor(double gradient_norm, double clip_norm);

// Fills the three norms of `report` from those of the parameters, whose gradients were multiplied
// with `clip`.
void add_norms(const std::vector<UpdateNorms>& norms, double clip, StepReport& report);

// The same, parameter by parameter.
LayersReport layers_of(const std::vector<Parameter>& parameters,
                       const std::vector<UpdateNorms>& norms, double clip,
                       const StepReport& report);

}  // namespace bit::trainer
