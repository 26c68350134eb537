// Which slot a decoder thread fills next: any whose batch has a place in the ring and whose record
// is in memory, so nobody waits for a slow image or a slow read but the batch it belongs to.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "pipeline/order.h"

namespace bit::pipeline {

struct SlotClaim {
  std::uint64_t batch = 0;
  std::uint32_t slot = 0;  // of this rank
  Sample sample;
};

struct SlotScheduleOptions {
  std::uint64_t first_batch = 0, last_batch = 0;  // the end excluded
  std::uint64_t first_slot = 0;                   // of the rank, in the global batch
  std::uint32_t slots = 0;                        // of the rank
  unsigned batches = 1;                           // with a place at the same time
  unsigned threads = 1;                           // that claim
  // In the order of batches and slots, whatever they cost: only the next `threads` are looked at.
  bool in_order = false;
};

// Slots are claimed from the oldest batch, the most expensive first. One of a later batch goes
// before them when it is so expensive that, started after them, it would still be in work when
// the others have run out of slots up to its own batch: alone on one thread it takes as long as
// the others need for the rest. Predicted costs may be wrong by half before somebody waits.
//
// Any thread; memory is taken once.
class SlotSchedule {
 public:
  using Cost = std::function<std::uint64_t(std::uint64_t record)>;  // in any unit
  // Whether the record is in memory. Called under the schedule's lock: quick, and it must not call
  // the schedule. What it throws leaves by claim().
  using Ready = std::function<bool(const Sample& sample)>;

  // `order` must outlive the schedule.
  SlotSchedule(const Order& order, const SlotScheduleOptions& options, Cost cost, Ready ready);

  // Waits for a slot that can be filled. nullopt: all have been claimed, or stopped.
  std::optional<SlotClaim> claim(const std::stop_token& stop);
  // The oldest batch with a place gave it to the next one. One thread at a time.
  void advance();
  // There may be more records for which `ready` holds.
  void records_arrived();

  // Summed over the threads: waiting in claim() while slots had places but no records, and while
  // all slots with places were claimed.
  double waited_for_records_seconds() const;
  double waited_for_room_seconds() const;

 private:
  struct Window {                          // a batch with a place
    std::vector<Sample> samples;           // [slots]
    std::vector<std::uint64_t> costs;      // [slots]
    std::vector<std::uint32_t> unclaimed;  // slots; the one to be taken first is the last
    std::uint64_t cost_left = 0;           // of them
  };
  Window& window(std::uint64_t n) { return windows_[n % windows_.size()]; }
  void open(std::uint64_t n);
  std::optional<SlotClaim> take();
  std::optional<SlotClaim> take_urgent();
  // The first of batch `n` that is ready, of its next `depth`.
  std::optional<SlotClaim> take_from(std::uint64_t n, std::size_t depth);

  const Order& order_;
  const SlotScheduleOptions options_;
  const Cost cost_;
  const Ready ready_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t changes_ = 0;  // of room and records
  std::vector<Window> windows_;
  std::uint64_t oldest_;  // batch that may have unclaimed slots
  std::uint64_t end_;     // of the batches with places
  std::uint64_t records_nanoseconds_ = 0, room_nanoseconds_ = 0;
};

}  // namespace bit::pipeline
