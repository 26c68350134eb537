#include "launcher/shard_commands/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

namespace bit::launcher {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr unsigned kBarCells = 24;

std::string duration(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole >= 3600) {
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  }
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

ProgressLine::ProgressLine(std::string unit, std::string short_unit, std::uint64_t before)
    : unit_(std::move(unit)),
      short_unit_(std::move(short_unit)),
      before_(before),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(Clock::now()) {}

ProgressLine::~ProgressLine() {
  if (open_) std::fputc('\n', stderr);
}

void ProgressLine::update(std::uint64_t done, std::uint64_t total, std::uint64_t bytes) {
  if (total == 0) return;
  const auto now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - start_).count();
  if (terminal_) {
    if (done < total && now - drawn_ < kRedraw) return;
    drawn_ = now;
    const auto full = static_cast<unsigned>(done * kBarCells / total);
    const std::string bar = std::string(full, '#') + std::string(kBarCells - full, '.');
    fmt::print(stderr, "\r[{}] {}\x1b[K", bar, text(done, total, bytes, seconds));
    std::fflush(stderr);
    open_ = true;
  } else if (done * 10 / total > tenths_) {
    tenths_ = done * 10 / total;
    fmt::print(stderr, "{}\n", text(done, total, bytes, seconds));
  }
}

std::string ProgressLine::text(std::uint64_t done, std::uint64_t total, std::uint64_t bytes,
                               double seconds) const {
  std::string text =
      fmt::format("{:3}%  {} of {} {}", done * 100 / total, grouped(done), grouped(total), unit_);
  if (seconds <= 0) return text;
  const double rate = static_cast<double>(done - std::min(done, before_)) / seconds;
  text += fmt::format("  {:.0f} {}/s", rate, short_unit_);
  if (bytes != 0) text += fmt::format("  {:.1f} MB/s", static_cast<double>(bytes) / seconds / 1e6);
  if (done == total) return text + "  in " + duration(seconds);
  if (rate <= 0) return text;
  return text + "  ETA " + duration(static_cast<double>(total - done) / rate);
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 999.95 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace bit::launcher
