// Encoded records in memory before the decoders ask for them: a planner thread follows the order
// and decides what may be read, reader threads fetch it in large reads. A chunk is forgotten when
// all its slots have been filled; its memory serves the next.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "pipeline/bounded_queue.h"
#include "pipeline/buffer_pool.h"
#include "pipeline/first_failure.h"
#include "pipeline/image_cache.h"
#include "pipeline/loader.h"
#include "pipeline/order.h"
#include "storage/dataset.h"

namespace bit::pipeline {

// Chunks are read in the order of their first use: two of each lane (the one in use and the next),
// or as many as the ring's batches need if they are small, as far as the memory limit allows. The
// chunks of the oldest incomplete batch are read whatever the limit is, so that it will be
// completed. Of a chunk only the records are read that the slots of this rank will still take,
// records that lie side by side together: 4 to 8 MiB at a time where that much does. The records of
// the very first batch are read before all others, by themselves, so that it does not wait for
// whole windows, nor for the cores that reading those takes.
//
// Memory: what is admitted is counted exactly; its buffers, free ones included, are kept
// within one and a half times the limit (BufferPool).
// Reads are announced to the page cache when they are queued.
class ReadAhead {
 public:
  // Slots [first_slot, end_slot) of the batches named by `options`, without the records that
  // `cache` has. All arguments must outlive the object.
  ReadAhead(const storage::Dataset& dataset, const Order& order, const LoaderOptions& options,
            std::uint64_t first_slot, std::uint64_t end_slot, const ImageCache& cache,
            FirstFailure& failure);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  // The threads; they end with the last read or when `failure` stops. `arrived` is called from them
  // after each read.
  void start(std::function<void()> arrived);

  // The record of `sample`; nullopt: it has not arrived. The bytes, framing included and fewer if
  // the shard ends within, stay until give_back(sample); none when the cache has it. Throws
  // std::logic_error for a record that was not planned.
  std::optional<std::span<const std::byte>> find(const Sample& sample) const;
  // The slot of `sample` is filled.
  void give_back(const Sample& sample);
  // Batches before `oldest_incomplete` are complete.
  void advance(std::uint64_t oldest_incomplete);

  void add_to(LoaderCounters& counters) const;

 private:
  // Records that lie side by side in a shard.
  struct Read {
    std::uint32_t shard = 0;
    std::uint64_t offset = 0, bytes = 0;  // in the shard
    std::uint64_t first_record = 0, records = 0;
    bool due = false;  // the first batch waits for it
    PooledBuffer buffer;
    std::uint64_t arrived = 0;  // bytes; fewer than `bytes` if the shard ends early
    bool done = false;
  };
  struct Chunk {
    std::vector<Read> reads;  // ascending in first_record; none: the cache has all records
    std::uint64_t bytes = 0;
    std::uint64_t slots = 0;  // not filled yet
  };
  using Chunks = std::unordered_map<std::uint64_t, Chunk>;  // by Sample::chunk
  struct Planned {                                          // latest chunk of a lane
    std::uint64_t chunk = 0, first_batch = 0;
  };

  // Only of the planner thread.
  void plan();
  bool plan_batch(std::uint64_t n);
  bool queue_first_reads();
  bool queue(Read& read);
  Chunks::node_type take_node(std::uint64_t id);
  void plan_chunk(std::uint64_t id, const ChunkUse& use, std::uint64_t first_batch, Chunk& chunk);
  void add_reads(std::span<const std::uint64_t> run, std::uint64_t run_bytes, bool due,
                 std::vector<Read>& reads) const;
  bool is_due(std::uint64_t record) const;
  // Waits until a chunk first used in `first_batch` may be read; the lane's chunk before it is
  // first used in `previous`.
  bool admit(std::uint64_t bytes, std::uint64_t first_batch, std::uint64_t previous);

  void read();

  const storage::Dataset& dataset_;
  const Order& order_;
  const LoaderOptions& options_;
  const std::uint64_t first_slot_, end_slot_;
  const ImageCache& cache_;
  FirstFailure& failure_;
  const bool drop_cache_;

  mutable std::mutex mutex_;
  std::condition_variable_any admission_;
  Chunks chunks_;
  std::vector<Chunks::node_type> free_chunks_;  // to be used again
  std::uint64_t oldest_incomplete_;
  std::uint64_t due_slots_ = 0;  // of the first batch, not filled yet; counted down to the threads
  std::uint64_t buffered_bytes_ = 0, peak_buffered_bytes_ = 0;
  std::atomic<std::uint64_t> bytes_read_ = 0, bytes_dropped_ = 0, busy_nanoseconds_ = 0;

  BufferPool pool_;
  BoundedQueue<Read*> reads_;
  std::function<void()> on_arrival_;

  // Of the planner thread.
  std::unordered_map<std::uint64_t, Planned> lanes_;  // by the lane's first slot
  std::vector<std::uint64_t> records_;                // of the chunk being planned
  std::vector<std::uint64_t> due_;                    // records of the first batch, ascending
  std::vector<Read*> first_reads_;                    // of the chunks of the first batch
  std::vector<std::jthread> threads_;
};

}  // namespace bit::pipeline
