// Ranks that each do their part of a work in threads of their own, while one thread of each rank
// keeps them together: it adds up what is done, shows it, passes a stop signal on, and ends all
// when one fails.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

#include "cluster/communicator.h"
#include "launcher/signals.h"
#include "pipeline/convert/shard_conversion.h"

namespace bit::launcher {

struct WorkDone {
  std::uint64_t images = 0, bytes_read = 0, bytes_written = 0;  // of all ranks
};

// Collective. Runs `work` on every rank; `show` is called on rank 0 ten times a second. False, on
// every rank, when a signal stopped the work. Throws SharedFailure on every rank when it failed on
// one.
bool ranks_at_work(
    cluster::Communicator& communicator, const SignalFlags& signals,
    const std::function<bool(const std::stop_token&, pipeline::ConvertCounters&)>& work,
    const std::function<void(const WorkDone&)>& show);

}  // namespace bit::launcher
