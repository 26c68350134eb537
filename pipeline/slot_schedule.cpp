// The windows of unclaimed slots; see slot_schedule.h.
#include "pipeline/slot_schedule.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

namespace bit::pipeline {
namespace {

// Slots count as urgent when their cost, this many times as high as predicted, would make the
// other threads wait.
constexpr std::uint64_t kCaution = 2;

}  // namespace

SlotSchedule::SlotSchedule(const Order& order, const SlotScheduleOptions& options, Cost cost,
                           Ready ready)
    : order_(order),
      options_(options),
      cost_(std::move(cost)),
      ready_(std::move(ready)),
      windows_(options.batches),
      oldest_(options.first_batch),
      end_(std::min(options.first_batch + options.batches, options.last_batch)) {
  for (Window& window : windows_) {
    window.samples.resize(options_.slots);
    window.costs.resize(options_.slots);
    window.unclaimed.reserve(options_.slots);
  }
  for (std::uint64_t n = oldest_; n < end_; ++n) open(n);
}

void SlotSchedule::open(std::uint64_t n) {
  Window& opened = window(n);
  opened.cost_left = 0;
  for (std::uint32_t slot = 0; slot < options_.slots; ++slot) {
    const Sample sample = order_.sample(n, options_.first_slot + slot);
    opened.samples[slot] = sample;
    opened.costs[slot] = sample.record == kPadding ? 0 : cost_(sample.record);
    opened.cost_left += opened.costs[slot];
  }
  opened.unclaimed.resize(options_.slots);
  std::iota(opened.unclaimed.rbegin(), opened.unclaimed.rend(), 0U);
  if (options_.in_order) return;
  std::ranges::sort(opened.unclaimed, [&](std::uint32_t a, std::uint32_t b) {
    return opened.costs[a] != opened.costs[b] ? opened.costs[a] < opened.costs[b] : a > b;
  });
}

std::optional<SlotClaim> SlotSchedule::claim(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (oldest_ == options_.last_batch) return {};
    if (const auto claim = take()) return claim;

    std::uint64_t& waited = oldest_ < end_ ? records_nanoseconds_ : room_nanoseconds_;
    const auto start = std::chrono::steady_clock::now();
    const std::uint64_t seen = changes_;
    changed_.wait(lock, stop, [&] { return changes_ != seen; });
    const std::chrono::nanoseconds time = std::chrono::steady_clock::now() - start;
    waited += static_cast<std::uint64_t>(time.count());
  }
  return {};
}

std::optional<SlotClaim> SlotSchedule::take() {
  if (options_.in_order) {
    return oldest_ < end_ ? take_from(oldest_, options_.threads) : std::nullopt;
  }
  if (const auto urgent = take_urgent()) return urgent;
  for (std::uint64_t n = oldest_; n < end_; ++n) {
    if (const auto claim = take_from(n, options_.slots)) return claim;
  }
  return {};
}

std::optional<SlotClaim> SlotSchedule::take_urgent() {
  std::uint64_t left = 0;  // cost of the slots up to a batch
  for (std::uint64_t n = oldest_; n < end_; ++n) {
    const Window& candidate = window(n);
    left += candidate.cost_left;
    if (candidate.unclaimed.empty()) continue;
    const std::uint64_t longest = candidate.costs[candidate.unclaimed.back()];
    if (kCaution * longest * (options_.threads - 1) < left - longest) continue;
    if (const auto claim = take_from(n, 1)) return claim;
  }
  return {};
}

std::optional<SlotClaim> SlotSchedule::take_from(std::uint64_t n, std::size_t depth) {
  Window& from = window(n);
  depth = std::min(depth, from.unclaimed.size());
  for (std::size_t i = 0; i < depth; ++i) {
    const auto place = from.unclaimed.end() - 1 - static_cast<std::ptrdiff_t>(i);
    const std::uint32_t slot = *place;
    const Sample sample = from.samples[slot];
    if (sample.record != kPadding && !ready_(sample)) continue;
    from.unclaimed.erase(place);
    from.cost_left -= from.costs[slot];
    // At once: advance() writes the window of a batch that has no slots left.
    while (oldest_ < end_ && window(oldest_).unclaimed.empty()) ++oldest_;
    return SlotClaim{n, slot, sample};
  }
  return {};
}

void SlotSchedule::advance() {
  const std::uint64_t n = end_;  // only changed here
  if (n == options_.last_batch) return;
  open(n);  // nobody looks there yet
  const std::lock_guard lock(mutex_);
  ++end_;
  ++changes_;
  changed_.notify_all();
}

void SlotSchedule::records_arrived() {
  const std::lock_guard lock(mutex_);
  ++changes_;
  changed_.notify_all();
}

double SlotSchedule::waited_for_records_seconds() const {
  const std::lock_guard lock(mutex_);
  return static_cast<double>(records_nanoseconds_) * 1e-9;
}

double SlotSchedule::waited_for_room_seconds() const {
  const std::lock_guard lock(mutex_);
  return static_cast<double>(room_nanoseconds_) * 1e-9;
}

}  // namespace bit::pipeline
