// What a loader has done and holds, and which of its stages limits it.
#pragma once

#include <cstdint>
#include <string>

namespace bit::pipeline {

struct LoaderCounters {
  // Since the loader started, or between two readings (since()).
  double seconds = 0;
  std::uint64_t images = 0;
  std::uint64_t images_from_cache = 0;  // of those
  std::uint64_t pixels = 0;             // of the decoded images, before their crop
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_dropped = 0;   // of those, from the page cache
  double read_busy_seconds = 0;      // summed over reader threads
  double decode_busy_seconds = 0;    // summed over decoder threads: all they do for an image
  double parse_seconds = 0;          // of those, checksum and tensorflow.Example; the rest: pixels
  double records_wait_seconds = 0;   // decoder threads without a record to decode
  double room_wait_seconds = 0;      // decoder threads without a place in the ring
  double consumer_wait_seconds = 0;  // next() without a batch to give

  // Now.
  std::uint64_t buffered_bytes = 0;  // encoded records held
  std::uint64_t peak_buffered_bytes = 0;
  std::uint64_t buffer_bytes = 0;  // the memory they lie in, free buffers included
  std::uint64_t memory_limit = 0;  // of encoded records; 0: none
  std::uint64_t ring_bytes = 0;
  unsigned ready_batches = 0, ring_batches = 0;
  std::uint64_t cached_images = 0, cache_bytes = 0;
  unsigned decoder_threads = 0, reader_threads = 0;

  // Shares of the time, 0 to 1.
  double reader_busy_share() const;
  double decoder_busy_share() const;
  double consumer_wait_share() const;
  double decode_microseconds_per_megapixel() const;
  double read_bytes_per_second() const;
};

// What happened after `earlier`, with what `later` holds.
LoaderCounters since(const LoaderCounters& earlier, const LoaderCounters& later);

enum class LoaderStage { kReading, kDecoding, kConsumer };

// The consumer when it hardly waits; otherwise reading when the decoder threads wait for records
// longer than they work, and decoding when not.
LoaderStage bottleneck(const LoaderCounters& counters);
// "decoding (2 decoder threads busy 97%)"
std::string describe_bottleneck(const LoaderCounters& counters);

}  // namespace bit::pipeline
