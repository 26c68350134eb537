// The loader and the bare loop by turns; see bare_loop.h.
#include "launcher/bare_loop.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

#include "launcher/bench_support.h"
#include "pipeline/jpeg.h"
#include "storage/example.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

constexpr double kTurnSeconds = 1;  // about

struct PlannedImage {
  std::string jpeg;
  pipeline::Sample sample;
};

// Until all that can be decoded is: then the loader's threads rest.
void wait_until_full(const pipeline::Loader& loader, unsigned batches) {
  while (loader.counters().ready_batches < batches) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

std::vector<PlannedImage> images_of(const storage::Dataset& dataset, const pipeline::Order& order,
                                    std::uint64_t first_batch, std::uint64_t batches) {
  std::vector<PlannedImage> images;
  std::vector<std::byte> framed;
  for (std::uint64_t n = first_batch; n < first_batch + batches; ++n) {
    for (std::uint64_t slot = 0; slot < order.batch(); ++slot) {
      const pipeline::Sample sample = order.sample(n, slot);
      const auto location = dataset.location(sample.record);
      framed.resize(location.bytes);
      framed.resize(dataset.shard_file(location.shard).read_at(location.offset, framed));
      const auto record = storage::parse_record(framed);
      if (record.fault) {
        throw storage::record_error(dataset.shards()[location.shard], sample.record,
                                    location.offset, storage::describe(*record.fault));
      }
      const auto encoded = storage::parse_image_example(record.data).encoded;
      images.push_back({{reinterpret_cast<const char*>(encoded.data()), encoded.size()}, sample});
    }
  }
  return images;
}

double decode_all(const std::vector<PlannedImage>& images, const pipeline::PlanImage& plan,
                  std::uint32_t size, pipeline::JpegDecoder& decoder,
                  std::vector<std::uint8_t>& out) {
  const Stopwatch watch;
  const std::size_t bytes = std::size_t{3} * size * size;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const PlannedImage& image = images[i];
    const auto whole = decoder.open(std::as_bytes(std::span(image.jpeg)));
    decoder.decode(plan(whole.width, whole.height, image.sample.epoch, image.sample.record), size,
                   std::span(out).subspan(i * bytes % out.size(), bytes));
  }
  return watch.seconds();
}

}  // namespace

std::vector<LoaderAndBareLoop> compare_with_bare_loop(const storage::Dataset& dataset,
                                                      const pipeline::Order& order,
                                                      const pipeline::PlanImage& plan,
                                                      pipeline::LoaderOptions options,
                                                      double seconds) {
  options.decoder_threads = 1;
  pipeline::Loader loader(dataset, order, plan, options);
  pipeline::JpegDecoder decoder;
  // As much memory as the loader writes to.
  std::vector<std::uint8_t> out(std::size_t{3} * options.image_size * options.image_size *
                                order.batch() * options.prefetch);
  loader.next();  // from here on each next() gives the batch before it back
  wait_until_full(loader, options.prefetch);
  std::uint64_t next = options.first_batch + options.prefetch;  // to be decoded
  std::vector<LoaderAndBareLoop> turns;
  std::uint64_t batches = 1;
  const Stopwatch all;
  for (bool warm = false; all.seconds() < seconds || turns.empty(); warm = true) {
    const auto images = images_of(dataset, order, next, batches);
    LoaderAndBareLoop turn;
    const Stopwatch watch;
    for (std::uint64_t i = 0; i < batches; ++i) loader.next();
    wait_until_full(loader, options.prefetch);
    turn.loader_seconds = watch.seconds();
    turn.bare_seconds = decode_all(images, plan, options.image_size, decoder, out);
    next += batches;
    if (!warm) {
      batches = std::clamp<std::uint64_t>(
          static_cast<std::uint64_t>(kTurnSeconds / turn.bare_seconds), 1, 32);
    } else {
      turns.push_back(turn);
    }
  }
  return turns;
}

}  // namespace bit::launcher
