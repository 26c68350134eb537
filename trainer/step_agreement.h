// What all ranks know of a step, from two small all-reduces: one between the gradient and its use,
// one after. Flags only travel with a step, so that all ranks act at the same one.
#pragma once

#include "cluster/communicator.h"
#include "trainer/optimizer.h"

namespace bit::trainer {

struct Agreement {
  double loss_sum = 0;       // here: of this rank's part of the batch; agreed: of all of it
  double gradient_norm = 0;  // here: 0 where it was not asked for; agreed: rank 0's
  // Here: on this rank; agreed: on any.
  bool bad_records = false;
  bool checkpoint_requested = false;
  bool stop_requested = false;
  bool checkpoint_busy = false;
};

// Collective.
Agreement agree(cluster::Communicator& communicator, const Agreement& here);
// Whether what an update left is finite on all ranks. Collective.
Finite agree(cluster::Communicator& communicator, const Finite& here);

}  // namespace bit::trainer
