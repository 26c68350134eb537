// Parallel work that comes out in order, within its window, with failures in their place.
#include "pipeline/convert/ordered_window.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

namespace bit::pipeline {
namespace {

using Window = OrderedWindow<std::uint64_t>;

Window::MakeWorker worker(const std::function<std::uint64_t(std::uint64_t)>& work) {
  return [work] { return Window::Worker(work); };
}
std::uint64_t no_bytes(const std::uint64_t&) { return 0; }

TEST(OrderedWindow, results_come_in_order_for_any_number_of_threads) {
  for (const unsigned threads : {1u, 2u, 8u}) {
    Window window(500, threads, 16, 1000, no_bytes, worker([](auto n) { return n * n; }));
    for (std::uint64_t n = 0; n < 500; ++n) EXPECT_EQ(window.next(), n * n);
    EXPECT_EQ(window.next(), std::nullopt);
    EXPECT_EQ(window.next(), std::nullopt);
  }
}

TEST(OrderedWindow, a_failure_comes_out_at_its_place_and_ends_the_work) {
  Window window(100, 4, 16, 1000, no_bytes, worker([](std::uint64_t n) {
                  if (n >= 7) throw std::runtime_error(std::to_string(n));
                  return n;
                }));
  for (std::uint64_t n = 0; n < 7; ++n) EXPECT_EQ(window.next(), n);
  try {
    window.next();
    FAIL() << "no failure";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "7");
  }
}

TEST(OrderedWindow, no_more_than_the_window_is_worked_on_ahead) {
  std::atomic<std::uint64_t> taken = 0, worst = 0;
  Window window(300, 4, 8, 1000, no_bytes, worker([&](std::uint64_t n) {
                  const std::uint64_t ahead = n - std::min(n, taken.load());
                  if (ahead > worst) worst = ahead;
                  return n;
                }));
  for (std::uint64_t n = 0; n < 300; ++n) {
    ASSERT_EQ(window.next(), n);
    taken = n + 1;
  }
  EXPECT_LE(worst, 8u);
}

TEST(OrderedWindow, large_results_narrow_the_window_but_never_stop_it) {
  Window window(
      100, 4, 64, 1, [](const std::uint64_t&) { return std::uint64_t{1000}; },
      worker([](auto n) { return n; }));
  for (std::uint64_t n = 0; n < 100; ++n) EXPECT_EQ(window.next(), n);
}

TEST(OrderedWindow, going_away_early_stops_the_threads) {
  Window window(1'000'000, 4, 8, 1000, no_bytes, worker([](auto n) { return n; }));
  EXPECT_EQ(window.next(), 0u);
}

TEST(OrderedWindow, no_work_is_no_result) {
  Window window(0, 2, 8, 1000, no_bytes, worker([](auto n) { return n; }));
  EXPECT_EQ(window.next(), std::nullopt);
}

}  // namespace
}  // namespace bit::pipeline
