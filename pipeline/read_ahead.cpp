// Planning and reading of chunks; see read_ahead.h.
#include "pipeline/read_ahead.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <stdexcept>
#include <string>

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kReadBytes =
    std::uint64_t{8} << 20;  // the most that is read at once; a longer record is read alone
constexpr std::size_t kQueuedReads = 64;

std::uint64_t physical_memory() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

// Records that lie side by side in a shard.
struct ReadAhead::Read {
  std::uint32_t shard = 0;
  std::uint64_t offset = 0, bytes = 0;  // in the shard
  std::uint64_t first_record = 0;
  std::unique_ptr<std::byte[]> data;
  std::uint64_t arrived = 0;  // bytes; fewer than `bytes` if the shard ends early
  bool done = false;
};

struct ReadAhead::Chunk {
  std::vector<Read> reads;  // ascending in first_record
  std::uint64_t bytes = 0;
  std::uint64_t slots = 0;  // not filled yet
};

ReadAhead::ReadAhead(const storage::Dataset& dataset, const Order& order,
                     const LoaderOptions& options, std::uint64_t first_slot, std::uint64_t end_slot,
                     FirstFailure& failure)
    : dataset_(dataset),
      order_(order),
      options_(options),
      first_slot_(first_slot),
      end_slot_(end_slot),
      failure_(failure),
      drop_cache_(options.drop_cache.value_or(dataset.bytes() > physical_memory())),
      oldest_incomplete_(options.first_batch),
      reads_(kQueuedReads) {}

ReadAhead::~ReadAhead() = default;

void ReadAhead::start() {
  threads_.push_back(failure_.run([this] { plan(); }));
  for (unsigned i = 0; i < options_.reader_threads; ++i) {
    threads_.push_back(failure_.run([this] { read(); }));
  }
}

void ReadAhead::plan() {
  struct Planned {
    std::uint64_t chunk = 0, first_batch = 0;
  };
  std::map<std::uint64_t, Planned>
      lanes;  // the latest chunk of each lane, which its first slot names
  const std::stop_token stop = failure_.stop_token();
  for (std::uint64_t n = options_.first_batch; n < options_.last_batch; ++n) {
    for (std::uint64_t slot = first_slot_; slot < end_slot_; ++slot) {
      const Sample sample = order_.sample(n, slot);
      if (sample.record == kPadding) continue;
      const ChunkUse use = order_.chunk_use(sample.chunk);
      const auto [lane, fresh] = lanes.try_emplace(use.first_slot);
      if (!fresh && sample.chunk <= lane->second.chunk) continue;
      const std::uint64_t previous = fresh ? n : lane->second.first_batch;
      lane->second = {sample.chunk, n};

      auto chunk = plan_chunk(sample.chunk, use, n);
      if (!admit(chunk->bytes, n, previous)) return;
      std::vector<Read>& reads = chunk->reads;
      {
        const std::lock_guard lock(mutex_);
        chunks_.emplace(sample.chunk, std::move(chunk));
      }
      // When the last read is handed over the chunk may be gone at any moment.
      for (Read& read : reads) {
        dataset_.shard_file(read.shard).will_need(read.offset, read.bytes);
        if (!reads_.push(&read, stop)) return;
      }
    }
  }
  reads_.close();
}

std::unique_ptr<ReadAhead::Chunk> ReadAhead::plan_chunk(std::uint64_t id, const ChunkUse& use,
                                                        std::uint64_t first_batch) const {
  std::vector<std::uint64_t> records;
  for (std::uint64_t n = first_batch; n < std::min(use.end_batch, options_.last_batch); ++n) {
    const std::uint64_t end = std::min(use.end_slot, end_slot_);
    for (std::uint64_t slot = std::max(use.first_slot, first_slot_); slot < end; ++slot) {
      const Sample sample = order_.sample(n, slot);
      if (sample.chunk == id && sample.record != kPadding) records.push_back(sample.record);
    }
  }
  std::ranges::sort(records);

  auto chunk = std::make_unique<Chunk>();
  chunk->slots = records.size();
  for (std::size_t begin = 0; begin < records.size();) {
    const storage::RecordLocation first = dataset_.location(records[begin]);
    std::uint64_t run = first.bytes;  // of records side by side
    std::size_t end = begin + 1;
    for (; end < records.size(); ++end) {
      const storage::RecordLocation next = dataset_.location(records[end]);
      if (next.shard != first.shard || next.offset != first.offset + run) break;
      run += next.bytes;
    }
    add_reads(std::span(records).subspan(begin, end - begin), run, chunk->reads);
    chunk->bytes += run;
    begin = end;
  }
  return chunk;
}

// A run longer than a read is cut into reads of about equal size, so that none is small.
void ReadAhead::add_reads(std::span<const std::uint64_t> run, std::uint64_t run_bytes,
                          std::vector<Read>& reads) const {
  const std::uint64_t pieces = (run_bytes + kReadBytes - 1) / kReadBytes;
  const std::uint64_t enough = run_bytes / std::max<std::uint64_t>(pieces, 1);
  bool open = false;  // the last read takes more
  for (const std::uint64_t record : run) {
    const storage::RecordLocation location = dataset_.location(record);
    open = open && reads.back().bytes < enough && reads.back().bytes + location.bytes <= kReadBytes;
    if (!open) {
      Read& read = reads.emplace_back();
      read.shard = location.shard;
      read.offset = location.offset;
      read.first_record = record;
      open = true;
    }
    reads.back().bytes += location.bytes;
  }
}

bool ReadAhead::admit(std::uint64_t bytes, std::uint64_t first_batch, std::uint64_t previous) {
  std::unique_lock lock(mutex_);
  const bool admitted = admission_.wait(lock, failure_.stop_token(), [&] {
    if (first_batch <= oldest_incomplete_) return true;
    const bool is_next =
        previous <= oldest_incomplete_ || first_batch < oldest_incomplete_ + options_.prefetch;
    return is_next &&
           (options_.memory_limit == 0 || buffered_bytes_ + bytes <= options_.memory_limit);
  });
  if (!admitted) return false;
  buffered_bytes_ += bytes;
  peak_buffered_bytes_ = std::max(peak_buffered_bytes_, buffered_bytes_);
  return true;
}

void ReadAhead::read() {
  const std::stop_token stop = failure_.stop_token();
  while (const std::optional<Read*> item = reads_.pop(stop)) {
    Read& read = **item;
    const auto start = std::chrono::steady_clock::now();
    auto data = std::make_unique_for_overwrite<std::byte[]>(read.bytes);
    const storage::ReadableFile& file = dataset_.shard_file(read.shard);
    const std::size_t arrived = file.read_at(read.offset, {data.get(), read.bytes});
    if (drop_cache_) {
      file.drop_cache(read.offset, arrived);
      bytes_dropped_ += arrived;
    }
    const std::chrono::nanoseconds busy = std::chrono::steady_clock::now() - start;
    bytes_read_ += arrived;
    busy_nanoseconds_ += static_cast<std::uint64_t>(busy.count());
    const std::lock_guard lock(mutex_);
    read.data = std::move(data);
    read.arrived = arrived;
    read.done = true;
    arrived_.notify_all();
  }
}

std::optional<std::span<const std::byte>> ReadAhead::record(const Sample& sample) {
  std::unique_lock lock(mutex_);
  const Read* read = nullptr;
  const bool arrived = arrived_.wait(lock, failure_.stop_token(), [&] {
    const auto chunk = chunks_.find(sample.chunk);
    if (chunk == chunks_.end()) return false;
    const std::vector<Read>& reads = chunk->second->reads;
    const auto after = std::ranges::upper_bound(reads, sample.record, {}, &Read::first_record);
    if (after == reads.begin()) {
      throw std::logic_error("record " + std::to_string(sample.record) + " is not in chunk " +
                             std::to_string(sample.chunk));
    }
    read = &*(after - 1);
    return read->done;
  });
  if (!arrived) return {};
  const storage::RecordLocation location = dataset_.location(sample.record);
  const std::uint64_t begin = std::min(location.offset - read->offset, read->arrived);
  const std::uint64_t end = std::min(begin + location.bytes, read->arrived);
  return std::span<const std::byte>(read->data.get() + begin, end - begin);
}

void ReadAhead::give_back(const Sample& sample) {
  std::unique_ptr<Chunk> finished;  // freed after the lock
  const std::lock_guard lock(mutex_);
  const auto chunk = chunks_.find(sample.chunk);
  if (--chunk->second->slots > 0) return;
  finished = std::move(chunk->second);
  chunks_.erase(chunk);
  buffered_bytes_ -= finished->bytes;
  admission_.notify_all();
}

void ReadAhead::advance(std::uint64_t oldest_incomplete) {
  const std::lock_guard lock(mutex_);
  if (oldest_incomplete <= oldest_incomplete_) return;
  oldest_incomplete_ = oldest_incomplete;
  admission_.notify_all();
}

void ReadAhead::add_to(LoaderCounters& counters) const {
  counters.bytes_read += bytes_read_;
  counters.bytes_dropped += bytes_dropped_;
  counters.read_busy_seconds += static_cast<double>(busy_nanoseconds_) * 1e-9;
  const std::lock_guard lock(mutex_);
  counters.buffered_bytes = buffered_bytes_;
  counters.peak_buffered_bytes = peak_buffered_bytes_;
}

}  // namespace bit::pipeline
