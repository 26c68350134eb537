// Encoded records in memory before the decoders ask for them: a planner thread follows the order
// and decides what may be read, reader threads fetch it in large reads. A chunk is forgotten when
// all its slots have been filled.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "pipeline/bounded_queue.h"
#include "pipeline/first_failure.h"
#include "pipeline/loader.h"
#include "pipeline/order.h"
#include "storage/dataset.h"

namespace bit::pipeline {

// Chunks are read in the order of their first use: two of each lane (the one in use and the next),
// or as many as the ring's batches need if they are small, as far as the memory limit allows. The
// chunks of the oldest incomplete batch are read whatever the limit is, so that it will be
// completed. Of a chunk only the records are read that the slots of this rank will still take,
// records that lie side by side together: 4 to 8 MiB at a time where that much does.
// Reads are announced to the page cache when they are queued.
class ReadAhead {
 public:
  // Slots [first_slot, end_slot) of the batches named by `options`. All arguments must outlive the
  // object.
  ReadAhead(const storage::Dataset& dataset, const Order& order, const LoaderOptions& options,
            std::uint64_t first_slot, std::uint64_t end_slot, FirstFailure& failure);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  void start();  // the threads; they end with the last read or when `failure` stops

  // Waits for the record of `sample`. The bytes, framing included and fewer if the shard ends
  // within, stay until give_back(sample). nullopt: stopped. Throws std::logic_error for a record
  // that was not planned.
  std::optional<std::span<const std::byte>> record(const Sample& sample);
  // The slot of `sample` is filled.
  void give_back(const Sample& sample);
  // Batches before `oldest_incomplete` are complete.
  void advance(std::uint64_t oldest_incomplete);

  void add_to(LoaderCounters& counters) const;

 private:
  struct Read;
  struct Chunk;

  void plan();
  void read();
  std::unique_ptr<Chunk> plan_chunk(std::uint64_t id, const ChunkUse& use,
                                    std::uint64_t first_batch) const;
  void add_reads(std::span<const std::uint64_t> run, std::uint64_t run_bytes,
                 std::vector<Read>& reads) const;
  // Waits until a chunk first used in `first_batch` may be read; the lane's chunk before it is
  // first used in `previous`.
  bool admit(std::uint64_t bytes, std::uint64_t first_batch, std::uint64_t previous);

  const storage::Dataset& dataset_;
  const Order& order_;
  const LoaderOptions& options_;
  const std::uint64_t first_slot_, end_slot_;
  FirstFailure& failure_;
  const bool drop_cache_;

  mutable std::mutex mutex_;
  std::condition_variable_any arrived_, admission_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Chunk>> chunks_;
  std::uint64_t oldest_incomplete_;
  std::uint64_t buffered_bytes_ = 0, peak_buffered_bytes_ = 0;
  std::atomic<std::uint64_t> bytes_read_ = 0, bytes_dropped_ = 0, busy_nanoseconds_ = 0;

  BoundedQueue<Read*> reads_;
  std::vector<std::jthread> threads_;
};

}  // namespace bit::pipeline
