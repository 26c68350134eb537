// Decoder threads fill the slots that SlotSchedule hands them, from what ReadAhead or the cache
// holds; see loader.h.
#include "pipeline/loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "pipeline/batch_ring.h"
#include "pipeline/first_failure.h"
#include "pipeline/image_cache.h"
#include "pipeline/read_ahead.h"
#include "pipeline/slot_decoder.h"
#include "pipeline/slot_schedule.h"
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

// Entropy decoding follows the bytes, the rest the pixels; of a photograph the two take about as
// long when a byte counts as two pixels. What the index does not know is guessed alike.
std::uint64_t decoding_cost(std::uint64_t bytes, std::uint64_t pixels) {
  return 2 * bytes + (pixels > 0 ? pixels : 2 * bytes);
}

std::uint64_t nanoseconds_since(Clock::time_point start) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - start).count());
}

double seconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-9; }

}  // namespace

struct Loader::Impl {
  Impl(const storage::Dataset& dataset, const Order& order, PlanImage plan_image,
       const LoaderOptions& loader_options);
  ~Impl() { failure.stop(); }
  void start();
  const Batch* next();

  void decode_slots();
  void fill(const SlotClaim& claim, SlotDecoder& decoder);
  void use_planned(const SlotClaim& claim, std::span<const std::byte> framed, SlotDecoder& decoder);
  void replace(const SlotClaim& claim, BadRecord bad, SlotDecoder& decoder);
  void pad(BatchPlace& place, std::uint32_t slot) const;
  BadRecord bad_record(const SlotClaim& claim, std::uint64_t record, std::string_view key,
                       const std::string& reason) const;
  SlotScheduleOptions schedule_options() const;
  std::uint64_t cost(std::uint64_t record) const;
  LoaderCounters counters() const;

  const storage::Dataset& dataset;
  const Order& order;
  const PlanImage plan;
  const LoaderOptions options;
  const std::uint32_t slots;  // of this rank
  const std::uint64_t first_slot;

  FirstFailure failure;
  ImageCache cache;
  BatchRing ring;
  SlotSchedule schedule;
  ReadAhead ahead;
  const Clock::time_point started = Clock::now();
  std::atomic<std::uint64_t> images = 0, images_from_cache = 0, pixels = 0;
  std::atomic<std::uint64_t> busy_nanoseconds = 0, parse_nanoseconds = 0;
  std::atomic<std::uint64_t> consumer_nanoseconds = 0;  // waited

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
      cache(options.cache, dataset.records(), options.cache_limit),
      ring(options.prefetch, slots, std::size_t{3} * options.image_size * options.image_size,
           options.first_batch, *options.memory),
      schedule(
          order, schedule_options(), [this](std::uint64_t record) { return cost(record); },
          [this](const Sample& sample) { return ahead.find(sample).has_value(); }),
      ahead(dataset, order, options, first_slot, first_slot + slots, cache, failure),
      next_batch(options.first_batch) {}

SlotScheduleOptions Loader::Impl::schedule_options() const {
  return {.first_batch = options.first_batch,
          .last_batch = options.last_batch,
          .first_slot = first_slot,
          .slots = slots,
          .batches = options.prefetch,
          .threads = options.decoder_threads,
          .in_order = options.in_order};
}

std::uint64_t Loader::Impl::cost(std::uint64_t record) const {
  if (options.cache == CacheKind::kDecoded && cache.find(record) != nullptr) {
    return std::uint64_t{options.image_size} * options.image_size;
  }
  return decoding_cost(dataset.location(record).bytes,
                       std::uint64_t{dataset.width(record)} * dataset.height(record));
}

void Loader::Impl::start() {
  ahead.start([this] { schedule.records_arrived(); });
  for (unsigned i = 0; i < options.decoder_threads; ++i) {
    decoders.push_back(failure.run([this] { decode_slots(); }));
  }
}

void Loader::Impl::decode_slots() {
  const std::stop_token stop = failure.stop_token();
  SlotDecoder decoder(dataset, plan, options, cache);
  while (const std::optional<SlotClaim> claim = schedule.claim(stop)) {
    const auto start = Clock::now();
    fill(*claim, decoder);
    const DecodeCost cost = decoder.take_cost();
    busy_nanoseconds += nanoseconds_since(start);
    parse_nanoseconds += cost.parse_nanoseconds;
    pixels += cost.pixels;
    ahead.advance(ring.slot_written(claim->batch));
  }
}

void Loader::Impl::fill(const SlotClaim& claim, SlotDecoder& decoder) {
  BatchPlace& place = ring.place(claim.batch);
  place.bad_records[claim.slot].clear();
  if (claim.sample.record == kPadding) return pad(place, claim.slot);
  const auto framed = ahead.find(claim.sample);
  if (!framed) throw std::logic_error("a slot was claimed before its record arrived");
  try {
    use_planned(claim, *framed, decoder);
  } catch (const DataError& error) {
    replace(claim, bad_record(claim, claim.sample.record, decoder.key(), error.what()), decoder);
  }
  images += place.records[claim.slot] == kPadding ? 0 : 1;
  ahead.give_back(claim.sample);
}

// From the cache even when it was read too, before the cache had it.
void Loader::Impl::use_planned(const SlotClaim& claim, std::span<const std::byte> framed,
                               SlotDecoder& decoder) {
  const Sample& sample = claim.sample;
  BatchPlace& place = ring.place(claim.batch);
  const CachedImage* cached = cache.find(sample.record);
  if (cached == nullptr) {
    return decoder.decode(sample.record, framed, sample, place, claim.slot);
  }
  decoder.decode(*cached, sample, place, claim.slot);
  ++images_from_cache;
}

// Goes along the order's chain of replacements, from the unusable planned record `bad` to the first
// one that can be used.
void Loader::Impl::replace(const SlotClaim& claim, BadRecord bad, SlotDecoder& decoder) {
  BatchPlace& place = ring.place(claim.batch);
  std::vector<BadRecord>& met = place.bad_records[claim.slot];
  met.push_back(std::move(bad));
  const auto record_replacement = [&](std::uint64_t replacement) {
    for (BadRecord& entry : met) entry.replacement = replacement;
  };
  std::vector<std::byte> framed;
  for (std::uint64_t attempt = 0; attempt < kMostReplacements; ++attempt) {
    const std::uint64_t record = order.substitute(claim.sample.record, attempt);
    if (record == kPadding) {
      pad(place, claim.slot);
      return record_replacement(kPadding);
    }
    const storage::RecordLocation location = dataset.location(record);
    framed.resize(location.bytes);
    framed.resize(dataset.shard_file(location.shard).read_at(location.offset, framed));
    try {
      decoder.decode(record, framed, claim.sample, place, claim.slot);
      return record_replacement(record);
    } catch (const DataError& error) {
      met.push_back(bad_record(claim, record, decoder.key(), error.what()));
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

BadRecord Loader::Impl::bad_record(const SlotClaim& claim, std::uint64_t record,
                                   std::string_view key, const std::string& reason) const {
  const storage::RecordLocation location = dataset.location(record);
  return {claim.batch,     record,           kPadding, dataset.shards()[location.shard],
          location.offset, std::string(key), reason};
}

const Batch* Loader::Impl::next() {
  failure.rethrow();
  if (lent) {
    ring.give_back(next_batch - 1);
    schedule.advance();
  }
  lent = false;
  if (next_batch == options.last_batch) return nullptr;

  const auto start = Clock::now();
  const BatchPlace* place = ring.wait_until_complete(next_batch, failure.stop_token());
  if (place == nullptr) {
    failure.rethrow();
    throw std::logic_error("the loader was stopped");
  }
  const std::uint64_t waited = nanoseconds_since(start);
  consumer_nanoseconds += waited;
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
  batch.wait_seconds = seconds(waited);
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

LoaderCounters Loader::Impl::counters() const {
  LoaderCounters counters;
  counters.seconds = seconds(nanoseconds_since(started));
  counters.images = images;
  counters.images_from_cache = images_from_cache;
  counters.pixels = pixels;
  counters.parse_seconds = seconds(parse_nanoseconds);  // before what it is a part of
  counters.decode_busy_seconds = seconds(busy_nanoseconds);
  counters.records_wait_seconds = schedule.waited_for_records_seconds();
  counters.room_wait_seconds = schedule.waited_for_room_seconds();
  counters.consumer_wait_seconds = seconds(consumer_nanoseconds);
  counters.memory_limit = options.memory_limit;
  counters.ring_bytes = ring.bytes();
  counters.ready_batches = ring.ready();
  counters.ring_batches = options.prefetch;
  counters.cached_images = cache.images();
  counters.cache_bytes = cache.used_bytes();
  counters.decoder_threads = options.decoder_threads;
  counters.reader_threads = options.reader_threads;
  ahead.add_to(counters);
  return counters;
}

LoaderCounters Loader::counters() const { return impl_->counters(); }

}  // namespace bit::pipeline
