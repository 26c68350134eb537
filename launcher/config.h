// A run's configuration: YAML walked along the descriptor of schemas/config.proto, then overrides.
// All mistakes are found in one pass and reported together.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/config.pb.h"

namespace bit::launcher {

// One mistake: "<where>: <what>", where is "file:line:column" or "override 3 (model.nmae=R50x1)".
struct ConfigMistake {
  std::string where;
  std::string what;        // names the offending text, the nearest valid name or the allowed range
  std::string shown = {};  // lines of the file that stand before the message; empty: none
};

// what() is every mistake, one a line.
class ConfigError : public std::runtime_error {
 public:
  explicit ConfigError(std::vector<ConfigMistake> mistakes);
  const std::vector<ConfigMistake>& mistakes() const { return mistakes_; }

 private:
  std::vector<ConfigMistake> mistakes_;
};

// Dotted key -> where its value comes from: "file:line:column", "override 3 (seed=1)", "default".
using Origins = std::map<std::string, std::string>;
inline constexpr const char* kDefaultOrigin = "default";  // of what nobody set

struct LoadedConfig {
  schemas::RunConfig config;  // every field set: the YAML's, an override's or the default
  Origins origins;
};

// A mistake about the value of `key`, said where that value comes from: "<key> <what>".
ConfigMistake mistake_about(const std::string& key, const std::string& what,
                            const Origins& origins);

// Origins as one text and back, for the other ranks.
std::string pack_origins(const Origins& origins);
Origins unpack_origins(std::string_view text);

// `overrides` are "key.sub=value"; they win over the file, the last one over the first. Throws
// ConfigError, also when the file cannot be read.
LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides);
// The same from text; `name` stands in the messages for the file.
LoadedConfig parse_config(std::string_view yaml, const std::string& name,
                          const std::vector<std::string>& overrides);

// YAML that load_config reads back to the same configuration. With `origins`, each line ends in a
// comment that says where its value comes from; with `comments`, each field is preceded by its
// meaning.
std::string print_config(const schemas::RunConfig& config, const Origins* origins = nullptr,
                         bool comments = false);

// docs/config.md, from the schema alone.
std::string config_reference();

// "90ep", "1.5ep", "5000 steps", "5000", "10min", "30s", "2h": what a Kind DURATION or LENGTH field
// says.
struct Duration {
  enum class Unit { kSteps, kEpochs, kSeconds };
  Unit unit = Unit::kSteps;
  double amount = 0;
};
std::optional<Duration> parse_duration(std::string_view text);  // nullopt when it is none
// Steps of a LENGTH. Epochs are rounded to the nearest step.
std::uint64_t to_steps(const Duration& duration, std::uint64_t steps_per_epoch);
std::optional<std::uint64_t> parse_bytes(std::string_view text);  // "512MiB", "2GB", "4096"

}  // namespace bit::launcher
