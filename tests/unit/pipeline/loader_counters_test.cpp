#include "pipeline/loader_counters.h"

#include <gtest/gtest.h>

namespace bit::pipeline {
namespace {

// Ten seconds of two decoder threads and one reader.
LoaderCounters ten_seconds() {
  LoaderCounters counters;
  counters.seconds = 10;
  counters.decoder_threads = 2;
  counters.reader_threads = 1;
  counters.consumer_wait_seconds = 9;
  return counters;
}

TEST(LoaderCounters, busy_decoders_are_the_bottleneck_of_a_waiting_consumer) {
  LoaderCounters counters = ten_seconds();
  counters.decode_busy_seconds = 19.4;
  counters.records_wait_seconds = 0.5;
  EXPECT_EQ(bottleneck(counters), LoaderStage::kDecoding);
  EXPECT_EQ(describe_bottleneck(counters), "decoding (2 decoder threads busy 97%)");
}

TEST(LoaderCounters, decoders_without_records_wait_for_reading) {
  LoaderCounters counters = ten_seconds();
  counters.decode_busy_seconds = 4;
  counters.records_wait_seconds = 16;
  counters.read_busy_seconds = 9.9;
  EXPECT_EQ(bottleneck(counters), LoaderStage::kReading);
  EXPECT_EQ(describe_bottleneck(counters), "reading (1 reader thread busy 99%, decoders 20%)");
}

TEST(LoaderCounters, a_consumer_that_never_waits_is_the_bottleneck) {
  LoaderCounters counters = ten_seconds();
  counters.consumer_wait_seconds = 0.1;
  counters.decode_busy_seconds = 6;
  counters.room_wait_seconds = 14;
  EXPECT_EQ(bottleneck(counters), LoaderStage::kConsumer);
  EXPECT_EQ(describe_bottleneck(counters),
            "the consumer (waits 1% of the time, decoders busy 30%)");
}

TEST(LoaderCounters, say_what_happened_between_two_readings) {
  LoaderCounters earlier = ten_seconds(), later = ten_seconds();
  earlier.decode_busy_seconds = 5;
  earlier.bytes_read = 1000;
  later.seconds = 20;
  later.decode_busy_seconds = 20;
  later.parse_seconds = 5;
  later.bytes_read = 6000;
  later.pixels = 2'000'000;
  later.buffered_bytes = 7;
  const LoaderCounters between = since(earlier, later);
  EXPECT_EQ(between.seconds, 10);
  EXPECT_EQ(between.decoder_busy_share(), 0.75);
  EXPECT_EQ(between.read_bytes_per_second(), 500);
  EXPECT_EQ(between.decode_microseconds_per_megapixel(), 5e6);
  EXPECT_EQ(between.buffered_bytes, 7U);
}

TEST(LoaderCounters, of_no_time_have_no_shares) {
  const LoaderCounters counters;
  EXPECT_EQ(counters.decoder_busy_share(), 0);
  EXPECT_EQ(counters.decode_microseconds_per_megapixel(), 0);
}

}  // namespace
}  // namespace bit::pipeline
