// Shares and the bottleneck; see loader_counters.h.
#include "pipeline/loader_counters.h"

#include <cmath>

namespace bit::pipeline {
namespace {

constexpr double kHardly = 0.05;  // share of the time the consumer may wait and be the limit

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

std::string percent(double share) { return std::to_string(std::lround(100 * share)) + "%"; }

std::string threads(unsigned count, const char* kind) {
  return std::to_string(count) + " " + kind + (count == 1 ? " thread" : " threads");
}

}  // namespace

double LoaderCounters::reader_busy_share() const {
  return ratio(read_busy_seconds, seconds * reader_threads);
}

double LoaderCounters::decoder_busy_share() const {
  return ratio(decode_busy_seconds, seconds * decoder_threads);
}

double LoaderCounters::consumer_wait_share() const { return ratio(consumer_wait_seconds, seconds); }

double LoaderCounters::decode_microseconds_per_megapixel() const {
  return ratio(1e6 * (decode_busy_seconds - parse_seconds), 1e-6 * static_cast<double>(pixels));
}

double LoaderCounters::read_bytes_per_second() const {
  return ratio(static_cast<double>(bytes_read), seconds);
}

LoaderCounters since(const LoaderCounters& earlier, const LoaderCounters& later) {
  LoaderCounters counters = later;
  counters.seconds -= earlier.seconds;
  counters.images -= earlier.images;
  counters.images_from_cache -= earlier.images_from_cache;
  counters.pixels -= earlier.pixels;
  counters.bytes_read -= earlier.bytes_read;
  counters.bytes_dropped -= earlier.bytes_dropped;
  counters.read_busy_seconds -= earlier.read_busy_seconds;
  counters.decode_busy_seconds -= earlier.decode_busy_seconds;
  counters.parse_seconds -= earlier.parse_seconds;
  counters.records_wait_seconds -= earlier.records_wait_seconds;
  counters.room_wait_seconds -= earlier.room_wait_seconds;
  counters.consumer_wait_seconds -= earlier.consumer_wait_seconds;
  return counters;
}

LoaderStage bottleneck(const LoaderCounters& counters) {
  if (counters.consumer_wait_share() < kHardly) return LoaderStage::kConsumer;
  return counters.records_wait_seconds > counters.decode_busy_seconds ? LoaderStage::kReading
                                                                      : LoaderStage::kDecoding;
}

std::string describe_bottleneck(const LoaderCounters& counters) {
  switch (bottleneck(counters)) {
    case LoaderStage::kReading:
      return "reading (" + threads(counters.reader_threads, "reader") + " busy " +
             percent(counters.reader_busy_share()) + ", decoders " +
             percent(counters.decoder_busy_share()) + ")";
    case LoaderStage::kDecoding:
      return "decoding (" + threads(counters.decoder_threads, "decoder") + " busy " +
             percent(counters.decoder_busy_share()) + ")";
    case LoaderStage::kConsumer:
      return "the consumer (waits " + percent(counters.consumer_wait_share()) +
             " of the time, decoders busy " + percent(counters.decoder_busy_share()) + ")";
  }
  return {};
}

}  // namespace bit::pipeline
