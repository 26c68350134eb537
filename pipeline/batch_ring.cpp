// The ring of batches; see batch_ring.h.
#include "pipeline/batch_ring.h"

namespace bit::pipeline {
namespace {

constexpr std::size_t kPageBytes = 4096;

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

}  // namespace

BatchRing::BatchRing(unsigned capacity, std::uint32_t slots, std::size_t image_bytes,
                     std::uint64_t first_batch, std::pmr::memory_resource& memory)
    : slots_(slots),
      place_bytes_(whole_pages(slots * image_bytes)),
      memory_(memory),
      places_(capacity),
      oldest_(first_batch),
      oldest_incomplete_(first_batch) {
  for (Place& place : places_) {
    place.batch.records.resize(slots);
    place.batch.labels.resize(slots);
    place.batch.bad_records.resize(slots);
    place.missing = slots;
  }
  pixels_ = static_cast<std::byte*>(memory_.allocate(place_bytes_ * places_.size(), kPageBytes));
  for (std::size_t i = 0; i < places_.size(); ++i) {
    places_[i].batch.images = {reinterpret_cast<std::uint8_t*>(pixels_ + i * place_bytes_),
                               slots * image_bytes};
  }
}

BatchRing::~BatchRing() { memory_.deallocate(pixels_, place_bytes_ * places_.size(), kPageBytes); }

std::uint64_t BatchRing::slot_written(std::uint64_t n) {
  const std::lock_guard lock(mutex_);
  if (--of(n).missing == 0) {
    while (oldest_incomplete_ < oldest_ + places_.size() && of(oldest_incomplete_).missing == 0) {
      ++oldest_incomplete_;
    }
    is_complete_.notify_all();
  }
  return oldest_incomplete_;
}

const BatchPlace* BatchRing::wait_until_complete(std::uint64_t n, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (!is_complete_.wait(lock, stop, [&] { return n < oldest_incomplete_; })) return nullptr;
  return &of(n).batch;
}

void BatchRing::give_back(std::uint64_t n) {
  const std::lock_guard lock(mutex_);
  of(n).missing = slots_;
  oldest_ = n + 1;
}

unsigned BatchRing::ready() const {
  const std::lock_guard lock(mutex_);
  return static_cast<unsigned>(oldest_incomplete_ - oldest_);
}

}  // namespace bit::pipeline
