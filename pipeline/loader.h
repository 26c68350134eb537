// Records to batches: reader threads fetch the chunks of the order, decoder threads write slot i of
// batch n, the trainer takes batch n. Memory is taken once; slots are a ring; a slow trainer stops
// the decoders, a full window the readers.
#pragma once

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>

#include "pipeline/batch.h"
#include "pipeline/order.h"
#include "pipeline/plans.h"
#include "storage/dataset.h"

namespace bit::pipeline {

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
  // Whether what was read leaves the page cache, which another reading of it would find; without a
  // value: when the dataset is larger than the machine's memory.
  std::optional<bool> drop_cache;
  // Where the ring's memory comes from (page-aligned); must outlive the loader. Pinned memory on
  // CUDA.
  std::pmr::memory_resource* memory = std::pmr::new_delete_resource();
};

struct LoaderCounters {
  std::uint64_t images = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_dropped = 0;   // of those, from the page cache
  double read_busy_seconds = 0;      // summed over reader threads
  double decode_busy_seconds = 0;    // summed over decoder threads
  std::uint64_t buffered_bytes = 0;  // encoded records held now
  std::uint64_t peak_buffered_bytes = 0;
  unsigned ready_batches = 0;
};

class Loader {
 public:
  // `dataset` and `order` must outlive the loader. Threads start here. Throws std::invalid_argument
  // for options that do not fit.
  Loader(const storage::Dataset& dataset, const Order& order, PlanImage plan,
         const LoaderOptions& options);
  ~Loader();  // stops the threads, whatever they are doing
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next batch, in order; nullptr when all before last_batch were given. Valid until the
  // following call of next(), which gives its slots back. Throws the first failure of any thread:
  // DataError when a record has no usable replacement, StorageError.
  const Batch* next();

  LoaderCounters counters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bit::pipeline
