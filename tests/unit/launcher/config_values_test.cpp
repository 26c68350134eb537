// Durations, sizes and addresses as people write them.
#include <gtest/gtest.h>

#include "launcher/config.h"
#include "launcher/config_fields.h"

namespace bit::launcher {
namespace {

void expect_duration(const char* text, Duration::Unit unit, double amount) {
  const auto duration = parse_duration(text);
  ASSERT_TRUE(duration) << text;
  EXPECT_EQ(duration->unit, unit) << text;
  EXPECT_DOUBLE_EQ(duration->amount, amount) << text;
}

TEST(Durations, come_in_steps_epochs_and_time) {
  expect_duration("5000", Duration::Unit::kSteps, 5000);
  expect_duration("5000 steps", Duration::Unit::kSteps, 5000);
  expect_duration("1step", Duration::Unit::kSteps, 1);
  expect_duration("0", Duration::Unit::kSteps, 0);
  expect_duration("90ep", Duration::Unit::kEpochs, 90);
  expect_duration("1.5 ep", Duration::Unit::kEpochs, 1.5);
  expect_duration("2 epochs", Duration::Unit::kEpochs, 2);
  expect_duration("30s", Duration::Unit::kSeconds, 30);
  expect_duration("10min", Duration::Unit::kSeconds, 600);
  expect_duration("2h", Duration::Unit::kSeconds, 7200);
  expect_duration("0.5 hours", Duration::Unit::kSeconds, 1800);
}

TEST(Durations, refuse_everything_else) {
  for (const char* text :
       {"", "ep", "-1ep", "1.5", "1.5 steps", "10 mins ago", "5000steps!", "nan", "inf ep",
        "1e3 steps", "0x10", "1 2", " 5", "1e400s", "99999999999999999999"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Durations, epochs_are_rounded_to_the_nearest_step) {
  EXPECT_EQ(to_steps({Duration::Unit::kSteps, 7}, 100), 7u);
  EXPECT_EQ(to_steps({Duration::Unit::kEpochs, 1.5}, 3), 5u);  // 4.5 away from zero
  EXPECT_EQ(to_steps({Duration::Unit::kEpochs, 0.001}, 100), 0u);
  EXPECT_THROW(to_steps({Duration::Unit::kSeconds, 7}, 100), std::logic_error);
}

TEST(Sizes, count_in_1024_and_in_1000) {
  EXPECT_EQ(parse_bytes("4096"), 4096u);
  EXPECT_EQ(parse_bytes("512MiB"), 512ull << 20);
  EXPECT_EQ(parse_bytes("2GB"), 2000000000u);
  EXPECT_EQ(parse_bytes("1.5 KiB"), 1536u);
  EXPECT_EQ(parse_bytes("1TiB"), 1ull << 40);
  EXPECT_EQ(parse_bytes("0"), 0u);
  for (const char* text : {"", "-1", "MiB", "4 gigs", "1e9", "99999999TiB", "12mib"}) {
    EXPECT_FALSE(parse_bytes(text)) << text;
  }
}

TEST(ListenAddresses, without_a_host_stay_on_this_one) {
  const auto local = parse_listen_address(":9400");
  ASSERT_TRUE(local);
  EXPECT_EQ(local->host, "127.0.0.1");
  EXPECT_EQ(local->port, 9400u);
  const auto open = parse_listen_address("0.0.0.0:80");
  ASSERT_TRUE(open);
  EXPECT_EQ(open->host, "0.0.0.0");
  for (const char* text : {"", "9400", ":", ":x", ":70000", ":-1", "http://a:80", ":94 00"}) {
    EXPECT_FALSE(parse_listen_address(text)) << text;
  }
}

}  // namespace
}  // namespace bit::launcher
