// Decoder threads fill the slots of the batches from what ReadAhead holds; see loader.h. The slots
// are handed to the threads one by one in the order of the batches, so nobody waits for a slow
// image but the batch it belongs to.
#include "pipeline/loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "pipeline/batch_ring.h"
#include "pipeline/first_failure.h"
#include "pipeline/jpeg.h"
#include "pipeline/read_ahead.h"
#include "storage/example.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

using Clock = std::chrono::steady_clock;
using storage::DataError;

constexpr std::uint64_t kMostReplacements = 256;  // attempts for one slot

const LoaderOptions& checked(const LoaderOptions& options, const Order& order) {
  const auto require = [](bool condition, const char* sentence) {
    if (!condition) throw std::invalid_argument(sentence);
  };
  require(options.image_size > 0, "the image size is 0");
  require(options.ranks > 0 && options.rank >= 0 && options.rank < options.ranks,
          "the rank is not one of the ranks");
  require(order.batch() % static_cast<std::uint64_t>(options.ranks) == 0,
          "the ranks do not divide the batch");
  require(options.decoder_threads > 0, "no decoder threads");
  require(options.reader_threads > 0, "no reader threads");
  require(options.prefetch > 0, "no batches in the ring");
  require(options.first_batch <= options.last_batch, "the last batch lies before the first");
  return options;
}

}  // namespace

struct Loader::Impl {
  Impl(const storage::Dataset& dataset, const Order& order, PlanImage plan_image,
       const LoaderOptions& loader_options);
  ~Impl() { failure.stop(); }
  void start();
  const Batch* next();

  void decode_slots();
  bool fill(BatchPlace& place, std::uint64_t n, std::uint32_t slot, JpegDecoder& decoder);
  void use(std::uint64_t record, std::span<const std::byte> framed, const Sample& planned,
           BatchPlace& place, std::uint32_t slot, JpegDecoder& decoder, std::string& key) const;
  void replace(std::uint64_t n, const Sample& planned, BadRecord bad, BatchPlace& place,
               std::uint32_t slot, JpegDecoder& decoder) const;
  void pad(BatchPlace& place, std::uint32_t slot) const;
  BadRecord bad_record(std::uint64_t n, std::uint64_t record, std::string key,
                       const std::string& reason) const;

  const storage::Dataset& dataset;
  const Order& order;
  const PlanImage plan;
  const LoaderOptions options;
  const std::uint32_t slots;  // of this rank
  const std::uint64_t first_slot;

  FirstFailure failure;
  BatchRing ring;
  ReadAhead ahead;
  std::atomic<std::uint64_t> claimed = 0;  // slots, counted on over the batches
  std::atomic<std::uint64_t> images = 0, busy_nanoseconds = 0;

  std::uint64_t next_batch;
  bool lent = false;  // batch next_batch - 1 is with the trainer
  Batch batch;
  std::vector<BadRecord> bad_records;  // of `batch`

  std::vector<std::jthread> decoders;
};

Loader::Impl::Impl(const storage::Dataset& dataset_, const Order& order_, PlanImage plan_image,
                   const LoaderOptions& loader_options)
    : dataset(dataset_),
      order(order_),
      plan(std::move(plan_image)),
      options(checked(loader_options, order)),
      slots(static_cast<std::uint32_t>(order.batch() / static_cast<std::uint64_t>(options.ranks))),
      first_slot(std::uint64_t{slots} * static_cast<std::uint64_t>(options.rank)),
      ring(options.prefetch, slots, std::size_t{3} * options.image_size * options.image_size,
           options.first_batch, *options.memory),
      ahead(dataset, order, options, first_slot, first_slot + slots, failure),
      next_batch(options.first_batch) {}

void Loader::Impl::start() {
  ahead.start();
  for (unsigned i = 0; i < options.decoder_threads; ++i) {
    decoders.push_back(failure.run([this] { decode_slots(); }));
  }
}

void Loader::Impl::decode_slots() {
  const std::stop_token stop = failure.stop_token();
  JpegDecoder decoder;
  while (!stop.stop_requested()) {
    const std::uint64_t claim = claimed++;
    const std::uint64_t n = options.first_batch + claim / slots;
    if (n >= options.last_batch) return;
    BatchPlace* place = ring.wait_for_place(n, stop);
    if (place == nullptr) return;
    if (!fill(*place, n, static_cast<std::uint32_t>(claim % slots), decoder)) return;
    ahead.advance(ring.slot_written(n));
  }
}

// False: stopped.
bool Loader::Impl::fill(BatchPlace& place, std::uint64_t n, std::uint32_t slot,
                        JpegDecoder& decoder) {
  place.bad_records[slot].clear();
  const Sample sample = order.sample(n, first_slot + slot);
  if (sample.record == kPadding) {
    pad(place, slot);
    return true;
  }
  const auto framed = ahead.record(sample);
  if (!framed) return false;

  const auto start = Clock::now();
  std::string key;
  try {
    use(sample.record, *framed, sample, place, slot, decoder, key);
  } catch (const DataError& error) {
    replace(n, sample, bad_record(n, sample.record, key, error.what()), place, slot, decoder);
  }
  const std::chrono::nanoseconds busy = Clock::now() - start;
  busy_nanoseconds += static_cast<std::uint64_t>(busy.count());
  images += place.records[slot] == kPadding ? 0 : 1;
  ahead.give_back(sample);
  return true;
}

// Decodes `record`, in the place of the planned one and cut like it. `key` is set as soon as it is
// known. Throws DataError with the reason for which the record cannot be used.
void Loader::Impl::use(std::uint64_t record, std::span<const std::byte> framed,
                       const Sample& planned, BatchPlace& place, std::uint32_t slot,
                       JpegDecoder& decoder, std::string& key) const {
  const storage::ParsedRecord parsed = storage::parse_record(framed);
  if (parsed.fault) throw DataError(storage::describe(*parsed.fault));
  if (parsed.data.size() + storage::kRecordFramingBytes != dataset.location(record).bytes) {
    throw DataError("its length is not the one in the index");
  }
  storage::ImageExample example = storage::parse_image_example(parsed.data);
  key = example.key;
  if (example.labels.empty()) throw DataError("it has no label");
  for (const std::int32_t label : example.labels) {
    if (label < 0 || static_cast<std::uint32_t>(label) >= dataset.classes()) {
      throw DataError("label " + std::to_string(label) + " (from 0), but the dataset has " +
                      std::to_string(dataset.classes()) + " classes");
    }
  }
  const ImageSize size = decoder.open(example.encoded);
  decoder.decode(plan(size.width, size.height, planned.epoch, planned.record), options.image_size,
                 place.image(slot));
  place.records[slot] = record;
  place.labels[slot] = std::move(example.labels);
}

// Goes along the order's chain of replacements, from the unusable planned record `bad` to the first
// one that can be used.
void Loader::Impl::replace(std::uint64_t n, const Sample& planned, BadRecord bad, BatchPlace& place,
                           std::uint32_t slot, JpegDecoder& decoder) const {
  std::vector<BadRecord>& met = place.bad_records[slot];
  met.push_back(std::move(bad));
  const auto record_replacement = [&](std::uint64_t replacement) {
    for (BadRecord& entry : met) entry.replacement = replacement;
  };
  std::vector<std::byte> framed;
  for (std::uint64_t attempt = 0; attempt < kMostReplacements; ++attempt) {
    const std::uint64_t record = order.substitute(planned.record, attempt);
    if (record == kPadding) {
      pad(place, slot);
      return record_replacement(kPadding);
    }
    const storage::RecordLocation location = dataset.location(record);
    framed.resize(location.bytes);
    framed.resize(dataset.shard_file(location.shard).read_at(location.offset, framed));
    std::string key;
    try {
      use(record, framed, planned, place, slot, decoder, key);
      return record_replacement(record);
    } catch (const DataError& error) {
      met.push_back(bad_record(n, record, key, error.what()));
    }
  }
  const BadRecord& first = met.front();
  throw DataError(first.file + ": record " + std::to_string(first.record) + " at byte " +
                  std::to_string(first.offset) + ": " + first.reason + "; none of the " +
                  std::to_string(kMostReplacements) + " records that follow can replace it");
}

void Loader::Impl::pad(BatchPlace& place, std::uint32_t slot) const {
  std::ranges::fill(place.image(slot), std::uint8_t{0});
  place.records[slot] = kPadding;
  place.labels[slot].clear();
}

BadRecord Loader::Impl::bad_record(std::uint64_t n, std::uint64_t record, std::string key,
                                   const std::string& reason) const {
  const storage::RecordLocation location = dataset.location(record);
  return {
      n,     record, kPadding, dataset.shards()[location.shard], location.offset, std::move(key),
      reason};
}

const Batch* Loader::Impl::next() {
  failure.rethrow();
  if (lent) ring.give_back(next_batch - 1);
  lent = false;
  if (next_batch == options.last_batch) return nullptr;

  const auto start = Clock::now();
  const BatchPlace* place = ring.wait_until_complete(next_batch, failure.stop_token());
  if (place == nullptr) {
    failure.rethrow();
    throw std::logic_error("the loader was stopped");
  }
  bad_records.clear();
  for (const std::vector<BadRecord>& of_slot : place->bad_records) {
    bad_records.insert(bad_records.end(), of_slot.begin(), of_slot.end());
  }
  batch.number = next_batch;
  batch.epoch = next_batch / order.batches_per_epoch();
  batch.size = slots;
  batch.image_size = options.image_size;
  batch.images = place->images;
  batch.records = place->records;
  batch.labels = place->labels;
  batch.bad_records = bad_records;
  batch.wait_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  lent = true;
  ++next_batch;
  return &batch;
}

Loader::Loader(const storage::Dataset& dataset, const Order& order, PlanImage plan,
               const LoaderOptions& options)
    : impl_(std::make_unique<Impl>(dataset, order, std::move(plan), options)) {
  impl_->start();
}

Loader::~Loader() = default;

const Batch* Loader::next() { return impl_->next(); }

LoaderCounters Loader::counters() const {
  LoaderCounters counters;
  counters.images = impl_->images;
  counters.decode_busy_seconds = static_cast<double>(impl_->busy_nanoseconds) * 1e-9;
  counters.ready_batches = impl_->ring.ready();
  impl_->ahead.add_to(counters);
  return counters;
}

}  // namespace bit::pipeline
