// Records to batches: reader threads fetch the chunks of the order, decoder threads write slot i of
// batch n, the trainer takes batch n. Memory is taken once; slots are a ring; a slow trainer stops
// the decoders, a full window the readers: what is held is memory_limit and the ring, and the cache
// where there is one.
#pragma once

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>

#include "pipeline/batch.h"
#include "pipeline/image_cache.h"
#include "pipeline/loader_counters.h"
#include "pipeline/order.h"
#include "pipeline/plans.h"
#include "storage/dataset.h"

namespace bit::pipeline {

struct LoaderOptions {
  std::uint32_t image_size = 224;
  int rank = 0, ranks = 1;  // ranks divides the order's batch (and lanes)
  unsigned decoder_threads = 1;
  unsigned reader_threads = 2;
  unsigned prefetch = 4;  // batches in the ring
  // Decode in the order of the slots instead of the longest first (SlotSchedule): to measure.
  bool in_order = false;
  std::uint64_t first_batch = 0;  // global batch to start with: O(1)
  std::uint64_t last_batch = 0;   // one past the end
  // bytes of encoded records held; 0: no limit. One chunk per lane is always allowed. Buffers
  // to be used again may take half as much more.
  std::uint64_t memory_limit = 0;
  // Whether what was read leaves the page cache, which another reading of it would find; without a
  // value: when the dataset is larger than the machine's memory.
  std::optional<bool> drop_cache;
  // Records are read and checked, or images decoded, once and then found in memory, as far as
  // `cache_limit` bytes go (ImageCache). An image is decoded whole for the cache, so the first
  // epoch costs more.
  CacheKind cache = CacheKind::kNone;
  std::uint64_t cache_limit = 0;
  // With kDecoded, of all images, kept or not: a longer short side is shrunk to this many pixels
  // (antialiased) before the crop is planned. That is another picture than the file's, by a second
  // resize; 0 shrinks nothing, and then pixels are those without a cache.
  std::uint32_t cache_short_side = 0;
  // Where the ring's memory comes from (page-aligned); must outlive the loader. Pinned memory on
  // CUDA.
  std::pmr::memory_resource* memory = std::pmr::new_delete_resource();
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
