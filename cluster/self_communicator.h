// A run of one rank: every collective is done when it starts.
#pragma once

#include <memory>

#include "cluster/communicator.h"

namespace bit::cluster {

std::unique_ptr<Communicator> make_self_communicator();

}  // namespace bit::cluster
