// The memory of the batches, taken once: batch n is filled in place n mod capacity, slot by slot
// and by several threads, lent to the trainer, and given back. Which slots may be filled is the
// business of SlotSchedule.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <mutex>
#include <span>
#include <stop_token>
#include <vector>

#include "pipeline/batch.h"

namespace bit::pipeline {

// A batch in the making. Each slot is written by one thread.
struct BatchPlace {
  std::span<std::uint8_t> images;  // [slots, image bytes], page-aligned
  std::vector<std::uint64_t> records;
  std::vector<std::vector<std::int32_t>> labels;
  std::vector<std::vector<BadRecord>> bad_records;  // of each slot, in the order they were met

  std::span<std::uint8_t> image(std::size_t slot) const {
    const std::size_t bytes = images.size() / records.size();
    return images.subspan(slot * bytes, bytes);
  }
};

class BatchRing {
 public:
  // `capacity` batches of `slots` images of `image_bytes`; batch `first_batch` comes first.
  // `memory` must outlive the ring.
  BatchRing(unsigned capacity, std::uint32_t slots, std::size_t image_bytes,
            std::uint64_t first_batch, std::pmr::memory_resource& memory);
  ~BatchRing();
  BatchRing(const BatchRing&) = delete;
  BatchRing& operator=(const BatchRing&) = delete;

  // Of batch `n`, which is less than `capacity` after the oldest that is not given back.
  BatchPlace& place(std::uint64_t n) { return of(n).batch; }
  // One more slot of batch `n` is written. Returns the oldest batch that is not complete.
  std::uint64_t slot_written(std::uint64_t n);
  // Waits until batch `n` is complete. nullptr: stopped.
  const BatchPlace* wait_until_complete(std::uint64_t n, const std::stop_token& stop);
  // Batch `n`, the oldest that is not given back, makes room for batch n + capacity.
  void give_back(std::uint64_t n);
  // Complete batches that are not given back.
  unsigned ready() const;
  std::size_t bytes() const { return place_bytes_ * places_.size(); }  // of all images

 private:
  struct Place {
    BatchPlace batch;
    std::uint32_t missing = 0;  // slots not written
  };
  Place& of(std::uint64_t n) { return places_[n % places_.size()]; }

  const std::uint32_t slots_;
  const std::size_t place_bytes_;
  std::pmr::memory_resource& memory_;
  std::byte* pixels_ = nullptr;

  mutable std::mutex mutex_;
  std::condition_variable_any is_complete_;
  std::vector<Place> places_;
  std::uint64_t oldest_;             // not given back
  std::uint64_t oldest_incomplete_;  // batches before it are complete
};

}  // namespace bit::pipeline
