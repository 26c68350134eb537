// Planning and reading of chunks; see read_ahead.h.
#include "pipeline/read_ahead.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kReadBytes =
    std::uint64_t{8} << 20;  // the most that is read at once; a longer record is read alone
constexpr std::size_t kQueuedReads = 64;
constexpr std::size_t kUsualReads = 16;  // of a chunk: memory for as many is taken at once

std::uint64_t physical_memory() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

ReadAhead::ReadAhead(const storage::Dataset& dataset, const Order& order,
                     const LoaderOptions& options, std::uint64_t first_slot, std::uint64_t end_slot,
                     const ImageCache& cache, FirstFailure& failure)
    : dataset_(dataset),
      order_(order),
      options_(options),
      first_slot_(first_slot),
      end_slot_(end_slot),
      cache_(cache),
      failure_(failure),
      drop_cache_(options.drop_cache.value_or(dataset.bytes() > physical_memory())),
      oldest_incomplete_(options.first_batch),
      pool_(options.memory_limit + options.memory_limit / 2),
      reads_(kQueuedReads) {}

ReadAhead::~ReadAhead() = default;

void ReadAhead::start(std::function<void()> arrived) {
  on_arrival_ = std::move(arrived);
  threads_.push_back(failure_.run([this] { plan(); }));
  for (unsigned i = 0; i < options_.reader_threads; ++i) {
    threads_.push_back(failure_.run([this] { read(); }));
  }
}

void ReadAhead::plan() {
  if (options_.first_batch < options_.last_batch) {
    for (std::uint64_t slot = first_slot_; slot < end_slot_; ++slot) {
      const Sample sample = order_.sample(options_.first_batch, slot);
      if (sample.record != kPadding) due_.push_back(sample.record);
    }
    std::ranges::sort(due_);
    const std::lock_guard lock(mutex_);
    due_slots_ = due_.size();
  }
  for (std::uint64_t n = options_.first_batch; n < options_.last_batch; ++n) {
    if (!plan_batch(n)) return;
    if (n == options_.first_batch && !queue_first_reads()) return;
  }
  reads_.close();
}

// The chunks that are first used in batch `n`. False: stopped.
bool ReadAhead::plan_batch(std::uint64_t n) {
  for (std::uint64_t slot = first_slot_; slot < end_slot_; ++slot) {
    const Sample sample = order_.sample(n, slot);
    if (sample.record == kPadding) continue;
    const ChunkUse use = order_.chunk_use(sample.chunk);
    const auto [lane, fresh] = lanes_.try_emplace(use.first_slot);
    if (!fresh && sample.chunk <= lane->second.chunk) continue;
    const std::uint64_t previous = fresh ? n : lane->second.first_batch;
    lane->second = {sample.chunk, n};

    Chunks::node_type node = take_node(sample.chunk);
    Chunk& chunk = node.mapped();
    plan_chunk(sample.chunk, use, n, chunk);
    if (!admit(chunk.bytes, n, previous)) return false;
    {
      const std::lock_guard lock(mutex_);
      chunks_.insert(std::move(node));
    }
    if (chunk.reads.empty()) on_arrival_();  // the cache has its records
    // When the last read is handed over the chunk may be gone at any moment.
    for (Read& read : chunk.reads) {
      if (n == options_.first_batch) {
        first_reads_.push_back(&read);
      } else if (!queue(read)) {
        return false;
      }
    }
  }
  return true;
}

// The chunks of the first batch are admitted without waiting, so all their reads are known before
// one is queued. The others wait until the decoder threads work on the last slots of the batch:
// they would take the cores from them.
bool ReadAhead::queue_first_reads() {
  const auto others = std::stable_partition(first_reads_.begin(), first_reads_.end(),
                                            [](const Read* read) { return read->due; });
  const auto queue_one = [&](Read* read) { return queue(*read); };
  if (!std::all_of(first_reads_.begin(), others, queue_one)) return false;
  {
    std::unique_lock lock(mutex_);
    if (!admission_.wait(lock, failure_.stop_token(),
                         [&] { return due_slots_ <= options_.decoder_threads; })) {
      return false;
    }
  }
  return std::all_of(others, first_reads_.end(), queue_one);
}

bool ReadAhead::queue(Read& read) {
  dataset_.shard_file(read.shard).will_need(read.offset, read.bytes);
  return reads_.push(&read, failure_.stop_token());
}

ReadAhead::Chunks::node_type ReadAhead::take_node(std::uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    if (!free_chunks_.empty()) {
      Chunks::node_type node = std::move(free_chunks_.back());
      free_chunks_.pop_back();
      node.key() = id;
      return node;
    }
  }
  Chunks fresh;
  const auto chunk = fresh.try_emplace(id).first;
  return fresh.extract(chunk);
}

bool ReadAhead::is_due(std::uint64_t record) const {
  return std::ranges::binary_search(due_, record);
}

// Into `chunk`, which has been used before or is empty.
void ReadAhead::plan_chunk(std::uint64_t id, const ChunkUse& use, std::uint64_t first_batch,
                           Chunk& chunk) {
  records_.clear();
  chunk.reads.clear();
  chunk.reads.reserve(kUsualReads);
  chunk.bytes = chunk.slots = 0;
  for (std::uint64_t n = first_batch; n < std::min(use.end_batch, options_.last_batch); ++n) {
    const std::uint64_t end = std::min(use.end_slot, end_slot_);
    for (std::uint64_t slot = std::max(use.first_slot, first_slot_); slot < end; ++slot) {
      const Sample sample = order_.sample(n, slot);
      if (sample.chunk != id || sample.record == kPadding) continue;
      ++chunk.slots;
      if (cache_.find(sample.record) == nullptr) records_.push_back(sample.record);
    }
  }
  std::ranges::sort(records_);

  for (std::size_t begin = 0; begin < records_.size();) {
    const storage::RecordLocation first = dataset_.location(records_[begin]);
    const bool due = first_batch == options_.first_batch && is_due(records_[begin]);
    std::uint64_t run = first.bytes;  // of records side by side
    std::size_t end = begin + 1;
    for (; end < records_.size(); ++end) {
      const storage::RecordLocation next = dataset_.location(records_[end]);
      if (records_[end] != records_[end - 1] + 1 || next.shard != first.shard ||
          next.offset != first.offset + run) {
        break;
      }
      if (first_batch == options_.first_batch && is_due(records_[end]) != due) break;
      run += next.bytes;
    }
    add_reads(std::span(records_).subspan(begin, end - begin), run, due, chunk.reads);
    chunk.bytes += run;
    begin = end;
  }
}

// A run longer than a read is cut into reads of about equal size, so that none is small.
void ReadAhead::add_reads(std::span<const std::uint64_t> run, std::uint64_t run_bytes, bool due,
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
      read.due = due;
      open = true;
    }
    reads.back().bytes += location.bytes;
    ++reads.back().records;
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
    PooledBuffer buffer = pool_.take(read.bytes);
    const storage::ReadableFile& file = dataset_.shard_file(read.shard);
    const std::size_t arrived = file.read_at(read.offset, {buffer.data.get(), read.bytes});
    if (drop_cache_) {
      file.drop_cache(read.offset, arrived);
      bytes_dropped_ += arrived;
    }
    const std::chrono::nanoseconds busy = std::chrono::steady_clock::now() - start;
    bytes_read_ += arrived;
    busy_nanoseconds_ += static_cast<std::uint64_t>(busy.count());
    {
      const std::lock_guard lock(mutex_);
      read.buffer = std::move(buffer);
      read.arrived = arrived;
      read.done = true;
    }
    on_arrival_();
  }
}

std::optional<std::span<const std::byte>> ReadAhead::find(const Sample& sample) const {
  const std::lock_guard lock(mutex_);
  const auto chunk = chunks_.find(sample.chunk);
  if (chunk == chunks_.end()) return {};
  const std::vector<Read>& reads = chunk->second.reads;
  const auto after = std::ranges::upper_bound(reads, sample.record, {}, &Read::first_record);
  if (after == reads.begin() || sample.record - (after - 1)->first_record >= (after - 1)->records) {
    if (cache_.find(sample.record) != nullptr) return std::span<const std::byte>();
    throw std::logic_error("record " + std::to_string(sample.record) + " is not in chunk " +
                           std::to_string(sample.chunk));
  }
  const Read& read = *(after - 1);
  if (!read.done) return {};
  const storage::RecordLocation location = dataset_.location(sample.record);
  const std::uint64_t begin = std::min(location.offset - read.offset, read.arrived);
  const std::uint64_t end = std::min(begin + location.bytes, read.arrived);
  return std::span<const std::byte>(read.buffer.data.get() + begin, end - begin);
}

void ReadAhead::give_back(const Sample& sample) {
  const std::lock_guard lock(mutex_);
  // Until then no others are read, so no others are given back.
  if (due_slots_ > options_.decoder_threads && --due_slots_ <= options_.decoder_threads) {
    admission_.notify_all();
  }
  const auto chunk = chunks_.find(sample.chunk);
  if (--chunk->second.slots > 0) return;
  Chunks::node_type finished = chunks_.extract(chunk);
  for (Read& read : finished.mapped().reads) pool_.give_back(std::move(read.buffer));
  buffered_bytes_ -= finished.mapped().bytes;
  free_chunks_.push_back(std::move(finished));
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
  counters.buffer_bytes = pool_.held_bytes();
}

}  // namespace bit::pipeline
