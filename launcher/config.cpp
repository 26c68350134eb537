// Puts the passes together: file, overrides, defaults, checks; all mistakes of all passes in one
// ConfigError.
#include "launcher/config.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "launcher/config_fields.h"
#include "launcher/config_reader.h"
#include "storage/file.h"

namespace bit::launcher {
namespace {

constexpr std::string_view kOverride = "override ";  // what places of overrides start with

std::string all_lines(const std::vector<ConfigMistake>& mistakes) {
  std::string text;
  for (const ConfigMistake& mistake : mistakes) {
    if (!text.empty()) text += '\n';
    if (!mistake.shown.empty()) text += mistake.shown + '\n';
    text += mistake.where + ": " + mistake.what;
  }
  return text;
}

// Makes every default explicit, so that the resolved configuration says everything.
void set_defaults(Reading& reading, const std::string& name) {
  for_each_setting(reading.config,
                   [&](const std::string& key, Message& group, const FieldDescriptor& field) {
                     if (is_required(field) && !reading.origins.contains(key)) {
                       reading.mistakes.push_back(
                           {name, fmt::format("{} is missing: expected {}", key, expected(field))});
                     }
                     reading.origins.try_emplace(key, kDefaultOrigin);
                     if (field.is_repeated()) return;
                     const auto& reflection = *group.GetReflection();
                     if (reflection.HasField(group, &field)) return;
                     switch (field.cpp_type()) {
                       case FieldDescriptor::CPPTYPE_BOOL:
                         reflection.SetBool(&group, &field, field.default_value_bool());
                         break;
                       case FieldDescriptor::CPPTYPE_DOUBLE:
                         reflection.SetDouble(&group, &field, field.default_value_double());
                         break;
                       case FieldDescriptor::CPPTYPE_UINT32:
                         reflection.SetUInt32(&group, &field, field.default_value_uint32());
                         break;
                       case FieldDescriptor::CPPTYPE_UINT64:
                         reflection.SetUInt64(&group, &field, field.default_value_uint64());
                         break;
                       default:
                         reflection.SetString(&group, &field, field.default_value_string());
                     }
                   });
}

// Where a place stands among the others: those of the file by line and column, then overrides by
// their number.
std::tuple<bool, long, long> position(std::string_view where, const std::string& name) {
  const bool in_file = where.starts_with(name + ":");
  where.remove_prefix(std::min(where.size(), in_file ? name.size() + 1 : kOverride.size()));
  long line = 0;
  long column = 0;
  const char* end = where.data() + where.size();
  const auto [colon, error] = std::from_chars(where.data(), end, line);
  if (in_file && error == std::errc() && colon != end) std::from_chars(colon + 1, end, column);
  return {!in_file, line, column};
}

}  // namespace

ConfigError::ConfigError(std::vector<ConfigMistake> mistakes)
    : std::runtime_error(all_lines(mistakes)), mistakes_(std::move(mistakes)) {}

ConfigMistake mistake_about(const std::string& key, const std::string& what,
                            const Origins& origins) {
  const auto origin = origins.find(key);
  return {origin == origins.end() ? "configuration" : origin->second, key + " " + what};
}

// No argument of a program and no path holds a NUL.
std::string pack_origins(const Origins& origins) {
  std::string text;
  for (const auto& [key, origin] : origins) {
    for (const std::string& part : {key, origin}) (text += part) += '\0';
  }
  return text;
}

Origins unpack_origins(std::string_view text) {
  Origins origins;
  const auto next = [&] {
    const std::size_t end = std::min(text.find('\0'), text.size());
    std::string part(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
  };
  while (!text.empty()) {
    std::string key = next();
    origins.insert_or_assign(std::move(key), next());
  }
  return origins;
}

LoadedConfig parse_config(std::string_view yaml, const std::string& name,
                          const std::vector<std::string>& overrides) {
  Reading reading;
  read_yaml(yaml, name, reading);
  // A file that cannot be read at all says nothing about missing keys or pairs that do not fit.
  const bool unreadable =
      !reading.mistakes.empty() && reading.origins.empty() && reading.config.ByteSizeLong() == 0;
  read_overrides(overrides, reading);
  if (!unreadable) {
    set_defaults(reading, name);
    check_together(name, reading);
  }
  if (!reading.mistakes.empty()) {
    std::stable_sort(reading.mistakes.begin(), reading.mistakes.end(),
                     [&](const ConfigMistake& a, const ConfigMistake& b) {
                       return position(a.where, name) < position(b.where, name);
                     });
    throw ConfigError(std::move(reading.mistakes));
  }
  return {std::move(reading.config), std::move(reading.origins)};
}

LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides) {
  std::string yaml;
  try {
    yaml = storage::read_file(storage::posix_file_system(), path);
  } catch (const storage::StorageError& error) {
    throw ConfigError({{path, "the configuration cannot be read: " + error.code().message()}});
  }
  return parse_config(yaml, path, overrides);
}

}  // namespace bit::launcher
