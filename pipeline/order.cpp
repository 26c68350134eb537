// The order of training and evaluation as arithmetic; see order.h. Positions: a record sequence
// position counts the records in the order of the permuted blocks; a lane position counts from the
// lane's beginning in that sequence.
#include "pipeline/order.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "pipeline/random.h"

namespace bit::pipeline {
namespace {

void require(bool condition, const std::string& sentence) {
  if (!condition) throw std::invalid_argument(sentence);
}

std::string number(std::uint64_t value) { return std::to_string(value); }

std::uint64_t divide_up(std::uint64_t value, std::uint64_t divisor) {
  return (value + divisor - 1) / divisor;
}

void check(const TrainOrderOptions& options) {
  require(options.batch > 0, "a batch needs at least one record");
  require(options.records >= options.batch, "the dataset has " + number(options.records) +
                                                " records, fewer than a batch of " +
                                                number(options.batch));
  require(options.records < std::uint64_t{1} << 62, "too many records");
  require(options.block > 0, "a block needs at least one record");
  require(options.lanes > 0 && options.batch % options.lanes == 0,
          number(options.lanes) + " lanes do not divide a batch of " + number(options.batch));
  require(options.block == 1 || (options.window > 0 && options.window % options.lanes == 0),
          "a window of " + number(options.window) + " records is not a multiple of " +
              number(options.lanes) + " lanes");
}

}  // namespace

// The blocks of an epoch in their permuted order. One block, the last of the dataset, may be short;
// its place in the sequence follows from the inverse permutation, so any position is found in O(1).
class TrainOrder::EpochSequence {
 public:
  EpochSequence(const TrainOrderOptions& options, std::uint64_t epoch)
      : block_(options.block),
        blocks_(divide_up(options.records, options.block), mix_key(options.seed, epoch)),
        missing_(blocks_.size() * options.block - options.records),
        short_end_((missing_ == 0 ? blocks_.size() : blocks_.inverse(blocks_.size() - 1) + 1) *
                       options.block -
                   missing_) {}

  struct Run {
    std::uint64_t first = 0;  // record
    std::uint64_t count = 0;  // consecutive records of the sequence from there to the block's end
  };
  Run run_at(std::uint64_t position) const {
    const std::uint64_t padded = position < short_end_ ? position : position + missing_;
    const std::uint64_t place = padded / block_, within = padded % block_;
    const std::uint64_t place_end = (place + 1) * block_;
    const std::uint64_t end = place_end - missing_ == short_end_ ? place_end - missing_ : place_end;
    return {blocks_(place) * block_ + within, end - padded};
  }
  std::uint64_t record(std::uint64_t position) const { return run_at(position).first; }

 private:
  std::uint64_t block_;
  KeyedPermutation blocks_;
  std::uint64_t missing_;    // records by which the last block is short
  std::uint64_t short_end_;  // sequence position where the short block ends
};

TrainOrder::TrainOrder(const TrainOrderOptions& options) : options_(options) {
  check(options_);
  batch_records_ = options_.batch / options_.lanes;
  lane_records_ = options_.records / options_.lanes;
  used_records_ = batches_per_epoch() * batch_records_;
  // A full permutation of the records needs no windows: what a lane gives to one batch is read
  // together.
  window_records_ = options_.block == 1 ? batch_records_
                                        : std::min(options_.window / options_.lanes, used_records_);
  windows_ = divide_up(used_records_, window_records_);
}

std::uint64_t TrainOrder::window_size(std::uint64_t window) const {
  return std::min(window_records_, used_records_ - window * window_records_);
}

Sample TrainOrder::sample(std::uint64_t n, std::uint64_t slot) const {
  const std::uint64_t epoch = n / batches_per_epoch(), step = n % batches_per_epoch();
  const std::uint64_t lane = slot / batch_records_;
  const std::uint64_t lane_position = step * batch_records_ + slot % batch_records_;
  const std::uint64_t window = lane_position / window_records_;
  std::uint64_t within = lane_position % window_records_;
  if (options_.block > 1) {
    // The key of the blocks has a third word of 0; the lanes' start at 1.
    const std::uint64_t key = mix_key(options_.seed, epoch, lane + 1, window);
    within = KeyedPermutation(window_size(window), key)(within);
  }
  const std::uint64_t position = lane * lane_records_ + window * window_records_ + within;
  return {epoch, EpochSequence(options_, epoch).record(position),
          (epoch * windows_ + window) * options_.lanes + lane};
}

std::vector<std::uint64_t> TrainOrder::chunk_records(std::uint64_t chunk) const {
  const std::uint64_t lane = chunk % options_.lanes;
  const std::uint64_t window = chunk / options_.lanes % windows_;
  const EpochSequence sequence(options_, chunk / options_.lanes / windows_);
  std::uint64_t position = lane * lane_records_ + window * window_records_;
  const std::uint64_t end = position + window_size(window);

  std::vector<std::uint64_t> records;
  records.reserve(end - position);
  while (position < end) {
    const EpochSequence::Run run = sequence.run_at(position);
    const std::uint64_t count = std::min(run.count, end - position);
    for (std::uint64_t i = 0; i < count; ++i) records.push_back(run.first + i);
    position += count;
  }
  return records;
}

ChunkUse TrainOrder::chunk_use(std::uint64_t chunk) const {
  const std::uint64_t lane = chunk % options_.lanes;
  const std::uint64_t window = chunk / options_.lanes % windows_;
  const std::uint64_t epoch_batch = chunk / options_.lanes / windows_ * batches_per_epoch();
  const std::uint64_t begin = window * window_records_, end = begin + window_size(window);
  return {epoch_batch + begin / batch_records_, epoch_batch + divide_up(end, batch_records_),
          lane * batch_records_, (lane + 1) * batch_records_};
}

std::uint64_t TrainOrder::substitute(std::uint64_t record, std::uint64_t attempt) const {
  const std::uint64_t records = options_.records;
  if (records == 1) return record;
  attempt %= records - 1;
  const std::uint64_t first = record / options_.block * options_.block;
  const std::uint64_t size = std::min(options_.block, records - first);
  if (attempt < size - 1) return first + (record - first + 1 + attempt) % size;
  return (first + attempt + 1) % records;
}

EvaluationOrder::EvaluationOrder(std::uint64_t records, std::uint64_t batch)
    : records_(records), batch_(batch) {
  require(records > 0, "the split has no records");
  require(batch > 0, "a batch needs at least one record");
}

Sample EvaluationOrder::sample(std::uint64_t n, std::uint64_t slot) const {
  const std::uint64_t record = n * batch_ + slot;
  return {0, record < records_ ? record : kPadding, n};
}

std::vector<std::uint64_t> EvaluationOrder::chunk_records(std::uint64_t chunk) const {
  std::vector<std::uint64_t> records;
  const std::uint64_t end = std::min((chunk + 1) * batch_, records_);
  for (std::uint64_t record = chunk * batch_; record < end; ++record) records.push_back(record);
  return records;
}

ChunkUse EvaluationOrder::chunk_use(std::uint64_t chunk) const {
  return {chunk, chunk + 1, 0, batch_};
}

std::uint64_t EvaluationOrder::substitute(std::uint64_t, std::uint64_t) const { return kPadding; }

}  // namespace bit::pipeline
