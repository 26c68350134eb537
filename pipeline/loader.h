// Records to batches: reader threads fetch the chunks of the order, decoder threads write slot i of
// batch n, the trainer takes batch n. Memory is taken once; slots are a ring; a slow trainer stops
// the decoders, a full window the readers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pipeline/crop.h"
#include "pipeline/order.h"
#include "storage/dataset.h"

namespace bit::pipeline {

// How an image is cut: `record_plan` for training, `centre crop` for evaluation. Called from
// decoder threads.
using PlanImage = std::function<ImagePlan(std::uint32_t width, std::uint32_t height,
                                          std::uint64_t epoch, std::uint64_t record)>;

struct LoaderOptions {
  std::uint32_t image_size = 224;
  int rank = 0, ranks = 1;  // ranks divides the order's batch (and lanes)
  unsigned decoder_threads = 1;
  unsigned reader_threads = 2;
  unsigned prefetch = 4;          // batches in the ring
  std::uint64_t first_batch = 0;  // global batch to start with: O(1)
  std::uint64_t last_batch = 0;   // one past the end
  // bytes of encoded records held; 0: no limit. One chunk per lane is always allowed.
  std::uint64_t memory_limit = 0;
};

// A record that could not be used, and what took its place.
struct BadRecord {
  std::uint64_t batch = 0;  // global batch it was drawn for
  std::uint64_t record = 0;
  std::uint64_t replacement = 0;  // kPadding in evaluation: the record is not counted
  std::string file;
  std::uint64_t offset = 0;  // bytes, in the file
  std::string key;           // of the record, when it could be read
  std::string reason;
};

// One rank's part of a global batch, lent by the loader.
struct Batch {
  std::uint64_t number = 0;  // global batch
  std::uint64_t epoch = 0;
  std::uint32_t size = 0;  // slots of this rank
  std::uint32_t image_size = 0;
  // [size, image_size, image_size, 3] uint8 RGB; padding is zero
  std::span<const std::uint8_t> images;
  std::span<const std::uint64_t> records;             // [size] record used, kPadding for padding
  std::span<const std::vector<std::int32_t>> labels;  // [size] 0-based; empty for padding
  std::span<const BadRecord> bad_records;             // met while this batch was filled
  double wait_seconds = 0;                            // next() waited so long for it
};

struct LoaderCounters {
  std::uint64_t images = 0;
  std::uint64_t bytes_read = 0;
  double read_busy_seconds = 0;      // summed over reader threads
  double decode_busy_seconds = 0;    // summed over decoder threads
  std::uint64_t buffered_bytes = 0;  // encoded records held now
  std::uint64_t peak_buffered_bytes = 0;
  unsigned ready_batches = 0;
};

class Loader {
 public:
  // `dataset` and `order` must outlive the loader. Threads start here.
  Loader(const storage::Dataset& dataset, const Order& order, PlanImage plan,
         const LoaderOptions& options);
  ~Loader();  // stops the threads, whatever they are doing
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next batch, in order; nullptr after last_batch. Valid until the following call of next(),
  // which gives its slots back. Throws the first failure of any thread: DataError when a record has
  // no usable replacement, StorageError.
  const Batch* next();

  LoaderCounters counters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Plans with the random stream keyed by (seed, epoch, record).
PlanImage training_plan(std::uint64_t seed, std::uint32_t image_size,
                        const InceptionCropOptions& options);
PlanImage evaluation_plan(std::uint32_t resize, std::uint32_t image_size);

}  // namespace bit::pipeline
