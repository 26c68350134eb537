// Durations, sizes and addresses as people write them.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "launcher/config.h"
#include "launcher/config_fields.h"

namespace bit::launcher {
namespace {

struct Quantity {
  double amount = 0;
  std::string_view unit;  // empty when there is none
};

// "<number> <unit>" with any spaces between; nullopt unless the number is finite and not negative.
std::optional<Quantity> split_quantity(std::string_view text) {
  Quantity quantity;
  const char* end = text.data() + text.size();
  // The fixed form: "5e" would otherwise be read as the start of an exponent in "5ep".
  const auto [rest, error] =
      std::from_chars(text.data(), end, quantity.amount, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(quantity.amount) || std::signbit(quantity.amount)) {
    return std::nullopt;
  }
  quantity.unit = std::string_view(rest, static_cast<std::size_t>(end - rest));
  while (quantity.unit.starts_with(' ')) quantity.unit.remove_prefix(1);
  return quantity;
}

struct DurationUnit {
  std::string_view name;
  Duration::Unit unit;
  double factor;
};

constexpr std::array<DurationUnit, 17> kDurationUnits = {{
    {"", Duration::Unit::kSteps, 1},
    {"step", Duration::Unit::kSteps, 1},
    {"steps", Duration::Unit::kSteps, 1},
    {"ep", Duration::Unit::kEpochs, 1},
    {"epoch", Duration::Unit::kEpochs, 1},
    {"epochs", Duration::Unit::kEpochs, 1},
    {"s", Duration::Unit::kSeconds, 1},
    {"sec", Duration::Unit::kSeconds, 1},
    {"second", Duration::Unit::kSeconds, 1},
    {"seconds", Duration::Unit::kSeconds, 1},
    {"min", Duration::Unit::kSeconds, 60},
    {"minute", Duration::Unit::kSeconds, 60},
    {"minutes", Duration::Unit::kSeconds, 60},
    {"h", Duration::Unit::kSeconds, 3600},
    {"hour", Duration::Unit::kSeconds, 3600},
    {"hours", Duration::Unit::kSeconds, 3600},
    {"d", Duration::Unit::kSeconds, 86400},
}};

constexpr std::array<std::pair<std::string_view, double>, 11> kByteUnits = {{
    {"", 1},
    {"B", 1},
    {"kB", 1e3},
    {"KB", 1e3},
    {"MB", 1e6},
    {"GB", 1e9},
    {"TB", 1e12},
    {"KiB", 1024},
    {"MiB", 1048576},
    {"GiB", 1073741824},
    {"TiB", 1099511627776},
}};

constexpr double kLargestCount =
    9007199254740992;  // 2^53: whole numbers are exact in a double up to here

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  const auto quantity = split_quantity(text);
  if (!quantity) return std::nullopt;
  for (const DurationUnit& known : kDurationUnits) {
    if (known.name != quantity->unit) continue;
    const Duration duration{known.unit, quantity->amount * known.factor};
    if (duration.amount > kLargestCount) return std::nullopt;
    if (duration.unit == Duration::Unit::kSteps && std::floor(duration.amount) != duration.amount) {
      return std::nullopt;
    }
    return duration;
  }
  return std::nullopt;
}

std::uint64_t to_steps(const Duration& duration, std::uint64_t steps_per_epoch) {
  switch (duration.unit) {
    case Duration::Unit::kSteps:
      return static_cast<std::uint64_t>(duration.amount);
    case Duration::Unit::kEpochs:
      return static_cast<std::uint64_t>(std::min(
          std::round(duration.amount * static_cast<double>(steps_per_epoch)), kLargestCount));
    case Duration::Unit::kSeconds:
      break;
  }
  throw std::logic_error("to_steps: a time has no number of steps");
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  const auto quantity = split_quantity(text);
  if (!quantity) return std::nullopt;
  for (const auto& [name, factor] : kByteUnits) {
    if (name != quantity->unit) continue;
    const double bytes = std::round(quantity->amount * factor);
    if (bytes > kLargestCount) return std::nullopt;
    return static_cast<std::uint64_t>(bytes);
  }
  return std::nullopt;
}

std::optional<ListenAddress> parse_listen_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  ListenAddress address;
  const std::string_view port = text.substr(colon + 1);
  const char* end = port.data() + port.size();
  const auto [rest, error] = std::from_chars(port.data(), end, address.port);
  if (error != std::errc() || rest != end || address.port > 65535) return std::nullopt;
  if (colon > 0) address.host = std::string(text.substr(0, colon));
  if (address.host.find_first_of(" \t/") != std::string::npos) return std::nullopt;
  return address;
}

}  // namespace bit::launcher
