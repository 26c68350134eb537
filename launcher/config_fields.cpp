// Descriptor helpers: what a field allows, its default, its comment, and the names near a wrong
// one.
#include "launcher/config_fields.h"

#include <fmt/core.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "schemas/config_descriptor.h"

namespace bit::launcher {
namespace {

std::vector<std::string> names_in(const Descriptor& group) {
  std::vector<std::string> names;
  for (int i = 0; i < group.field_count(); ++i) names.push_back(group.field(i)->name());
  return names;
}

struct Place {
  std::string name;  // last component
  std::string key;   // dotted
};

void collect_places(const Descriptor& group, const std::string& prefix,
                    std::vector<Place>& places) {
  for (int i = 0; i < group.field_count(); ++i) {
    const FieldDescriptor& field = *group.field(i);
    places.push_back({field.name(), prefix + field.name()});
    if (is_group(field)) collect_places(*field.message_type(), prefix + field.name() + ".", places);
  }
}

void visit_group(Message& group, const std::string& prefix, const VisitSetting& visit) {
  const Descriptor& descriptor = *group.GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor& field = *descriptor.field(i);
    if (is_group(field)) {
      visit_group(*group.GetReflection()->MutableMessage(&group, &field),
                  prefix + field.name() + ".", visit);
    } else {
      visit(prefix + field.name(), group, field);
    }
  }
}

std::unique_ptr<google::protobuf::DescriptorPool> build_commented_schema() {
  google::protobuf::FileDescriptorSet set;
  const std::string_view bytes = schemas::config_descriptor();
  if (!set.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw std::logic_error("the embedded descriptor of config.proto cannot be read");
  }
  auto pool = std::make_unique<google::protobuf::DescriptorPool>();
  for (const auto& file : set.file()) pool->BuildFile(file);
  return pool;
}

}  // namespace

bool is_group(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}

bool is_whole(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_UINT32 ||
         field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
}

bool is_required(const FieldDescriptor& field) {
  return field.options().GetExtension(schemas::required);
}

schemas::Kind kind_of(const FieldDescriptor& field) {
  return field.options().GetExtension(schemas::kind);
}

std::vector<std::string> choices_of(const FieldDescriptor& field) {
  std::istringstream words(field.options().GetExtension(schemas::one_of));
  std::vector<std::string> choices;
  for (std::string word; words >> word;) choices.push_back(word);
  return choices;
}

std::string allowed_range(const FieldDescriptor& field) {
  const auto& options = field.options();
  const bool low = options.HasExtension(schemas::min) || is_whole(field);
  const std::string from = number_text(options.GetExtension(schemas::min));
  if (options.HasExtension(schemas::max)) {
    const std::string to = number_text(options.GetExtension(schemas::max));
    return low ? from + " to " + to : "at most " + to;
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
    return fmt::format("{} to {}", from, std::numeric_limits<std::uint32_t>::max());
  }
  return low ? "at least " + from : "";
}

std::string expected(const FieldDescriptor& field) {
  if (field.is_repeated()) return "a list such as [30ep, 60ep, 80ep]";
  if (is_group(field)) return fmt::format("settings indented under '{}:'", field.name());
  const std::string value = default_text(field);
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number such as " + value;
    case FieldDescriptor::CPPTYPE_STRING:
      break;
    default:
      return "a whole number such as " + (value == "0" ? "8" : value);
  }
  if (const auto choices = choices_of(field); !choices.empty())
    return "one of " + joined(choices, ", ");
  switch (kind_of(field)) {
    case schemas::DURATION:
      return "a duration such as 10min, 30s, 2h, 1.5ep or 5000 steps";
    case schemas::LENGTH:
      return "a length such as 90ep, 1.5ep or 5000 steps";
    case schemas::BYTES:
      return "a size such as 512MiB, 2GB or 4096";
    case schemas::PATH:
      return "a path";
    case schemas::PLAIN:
      break;
  }
  return value.empty() ? "text" : "text such as " + value;
}

std::string number_text(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return {buffer, result.ptr};
}

std::string value_text(const Message& message, const FieldDescriptor& field, int index) {
  const auto& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return number_text(reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(reflection.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return field.is_repeated() ? reflection.GetRepeatedString(message, &field, index)
                                 : reflection.GetString(message, &field);
    default:
      throw std::logic_error("config.proto: " + field.full_name() +
                             " has a type that settings do not have");
  }
}

std::string default_text(const FieldDescriptor& field) {
  // An unset field reads as its default, so any instance of the message will do.
  const Message& prototype =
      *google::protobuf::MessageFactory::generated_factory()->GetPrototype(field.containing_type());
  return field.is_repeated() ? "" : value_text(prototype, field);
}

void for_each_setting(schemas::RunConfig& config, const VisitSetting& visit) {
  visit_group(config, "", visit);
}

std::string suggestion(const Descriptor& here, const std::string& group, const std::string& key,
                       bool dotted) {
  std::vector<Place> everywhere;
  collect_places(*schemas::RunConfig::descriptor(), "", everywhere);
  std::vector<std::string> same_name;
  std::vector<std::string> all_names;
  for (const Place& place : everywhere) {
    if (place.name == key || place.key == key) same_name.push_back("'" + place.key + "'");
    all_names.push_back(place.name);
  }
  if (!same_name.empty()) return ": did you mean " + joined(same_name, " or ") + "?";
  const std::string prefix = dotted && !group.empty() ? group + "." : "";
  if (const auto near = nearest(key, names_in(here)))
    return ": did you mean '" + prefix + *near + "'?";
  if (const auto near = nearest(key, all_names)) {
    const auto place =
        std::find_if(everywhere.begin(), everywhere.end(),
                     [&](const Place& candidate) { return candidate.name == *near; });
    return ": did you mean '" + place->key + "'?";
  }
  return fmt::format(": the keys {} are {}", group.empty() ? "at the top" : "of '" + group + "'",
                     joined(names_in(here), ", "));
}

std::string comment_of(const std::string& full_name) {
  static const auto schema = build_commented_schema();
  google::protobuf::SourceLocation location;
  const FieldDescriptor* field = schema->FindFieldByName(full_name);
  const Descriptor* message = field == nullptr ? schema->FindMessageTypeByName(full_name) : nullptr;
  const bool found = field != nullptr ? field->GetSourceLocation(&location)
                                      : message != nullptr && message->GetSourceLocation(&location);
  if (!found) return "";
  std::istringstream words(location.leading_comments);
  std::vector<std::string> all;
  for (std::string word; words >> word;) all.push_back(word);
  return joined(all, " ");
}

}  // namespace bit::launcher
