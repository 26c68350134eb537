// How far a long command is, on standard error: a bar that redraws itself on a terminal, a plain
// line every tenth of the way otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace bit::launcher {

// One thread.
class ProgressLine {
 public:
  // `unit`: plural of what is counted, "images"; `short_unit`: of its rate, "img".
  // `before`: how many were done in an earlier process; they do not count in the rate.
  ProgressLine(std::string unit, std::string short_unit, std::uint64_t before = 0);
  ~ProgressLine();  // ends the line of the bar
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // `bytes` (0: not shown) is what has been written or read so far.
  void update(std::uint64_t done, std::uint64_t total, std::uint64_t bytes);

 private:
  std::string text(std::uint64_t done, std::uint64_t total, std::uint64_t bytes,
                   double seconds) const;

  using Clock = std::chrono::steady_clock;
  const std::string unit_;
  const std::string short_unit_;
  const std::uint64_t before_;
  const bool terminal_;
  const Clock::time_point start_;
  Clock::time_point drawn_;
  std::uint64_t tenths_ = 0;  // told so far
  bool open_ = false;         // the bar stands on the terminal's last line
};

// "12,345" and "1.2 MB" (decimal), for people.
std::string grouped(std::uint64_t number);
std::string human_bytes(std::uint64_t bytes);

}  // namespace bit::launcher
