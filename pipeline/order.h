// Which record fills which slot of which batch: arithmetic, no state. See docs/architecture.md,
// decision 1.
//
// Training: blocks of `block` consecutive records are permuted; the resulting record sequence is
// cut into `lanes` equal lanes; inside a lane, windows of window/lanes records are permuted. Batch
// t of an epoch takes batch/lanes records from each lane, lane l filling slots [l*batch/lanes,
// (l+1)*batch/lanes). A rank owns lanes/ranks whole lanes, so its slots are contiguous. records %
// batch records at the ends of the lanes are left out, others each epoch.
#pragma once

#include <cstdint>
#include <vector>

namespace bit::pipeline {

// no record: a padded slot of an evaluation batch
inline constexpr std::uint64_t kPadding = ~std::uint64_t{0};

struct Sample {
  std::uint64_t epoch = 0;
  std::uint64_t record = kPadding;
  // The chunk of records it is read with: consecutive samples of a lane share one. Ascending per
  // lane, unique over lanes and epochs. Without meaning for padding.
  std::uint64_t chunk = 0;
};

// The slots that take records from a chunk: all of them lie in these batches and slots. A batch at
// either end may take part of its records in these slots from the neighbouring chunk of the lane.
struct ChunkUse {
  std::uint64_t first_batch = 0, end_batch = 0;  // global batches, the end excluded
  std::uint64_t first_slot = 0, end_slot = 0;    // equal for all chunks of a lane
};

// A sequence of global batches and the records that are read together for it. Immutable; any
// thread.
class Order {
 public:
  virtual ~Order() = default;
  virtual std::uint64_t batch() const = 0;              // slots of a global batch
  virtual std::uint64_t batches_per_epoch() const = 0;  // > 0
  // Slot `slot` of global batch `n`; n counts on over the epochs. O(1).
  virtual Sample sample(std::uint64_t n, std::uint64_t slot) const = 0;
  // Records of a chunk in the order they lie on disk as far as the order knows: runs of consecutive
  // numbers.
  virtual std::vector<std::uint64_t> chunk_records(std::uint64_t chunk) const = 0;
  // O(1).
  virtual ChunkUse chunk_use(std::uint64_t chunk) const = 0;
  // The deterministic chain of replacements of an unusable record: attempt 0, 1, 2 ... First the
  // rest of its block, cyclic, then the records after the block, cyclic; never the record itself
  // unless it is the only one. kPadding: the order replaces nothing, the slot becomes padding.
  virtual std::uint64_t substitute(std::uint64_t record, std::uint64_t attempt) const = 0;
};

struct TrainOrderOptions {
  std::uint64_t records = 0;
  std::uint64_t batch = 0;  // global
  std::uint64_t block = 64;
  std::uint64_t lanes = 1;   // divides batch
  std::uint64_t window = 0;  // records of the whole job; a multiple of lanes; unused with block 1
  std::uint64_t seed = 0;
};

class TrainOrder final : public Order {
 public:
  // Throws std::invalid_argument with a sentence for options that do not fit (fewer records than a
  // batch, lanes that do not divide the batch, ...).
  explicit TrainOrder(const TrainOrderOptions& options);
  std::uint64_t batch() const override { return options_.batch; }
  std::uint64_t batches_per_epoch() const override { return options_.records / options_.batch; }
  Sample sample(std::uint64_t n, std::uint64_t slot) const override;
  std::vector<std::uint64_t> chunk_records(std::uint64_t chunk) const override;
  ChunkUse chunk_use(std::uint64_t chunk) const override;
  std::uint64_t substitute(std::uint64_t record, std::uint64_t attempt) const override;
  const TrainOrderOptions& options() const { return options_; }

 private:
  class EpochSequence;  // the record sequence of one epoch
  std::uint64_t window_size(std::uint64_t window) const;

  TrainOrderOptions options_;
  std::uint64_t batch_records_ = 0;   // records of a lane in a batch
  std::uint64_t lane_records_ = 0;    // distance between the lanes' beginnings in the sequence
  std::uint64_t used_records_ = 0;    // of them, what the batches of an epoch take
  std::uint64_t window_records_ = 0;  // of a lane
  std::uint64_t windows_ = 0;         // of a lane in an epoch
};

// Records 0 ... records-1 once, in order, `batch` (of all ranks) at a time; the last batch is
// padded. One "epoch". A chunk is one batch. Nothing is replaced: an unusable record is not
// counted.
class EvaluationOrder final : public Order {
 public:
  EvaluationOrder(std::uint64_t records, std::uint64_t batch);
  std::uint64_t batch() const override { return batch_; }
  std::uint64_t batches_per_epoch() const override { return (records_ + batch_ - 1) / batch_; }
  Sample sample(std::uint64_t n, std::uint64_t slot) const override;
  std::vector<std::uint64_t> chunk_records(std::uint64_t chunk) const override;
  ChunkUse chunk_use(std::uint64_t chunk) const override;
  std::uint64_t substitute(std::uint64_t record, std::uint64_t attempt) const override;

 private:
  std::uint64_t records_;
  std::uint64_t batch_;
};

}  // namespace bit::pipeline
