// One value into one field, with every check the schema states for it.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "launcher/config_fields.h"

namespace bit::launcher {
namespace {

using Wrong = std::optional<std::string>;

std::string shown(const Scalar& scalar) { return "'" + scalar.text + "'"; }

std::string not_expected(const Scalar& scalar, const FieldDescriptor& field) {
  return fmt::format("is {}: expected {}", shown(scalar), expected(field));
}

// Finite numbers in any decimal notation; nullopt for everything else.
std::optional<double> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && rest == end && std::isfinite(value)) return value;
  return std::nullopt;
}

Wrong out_of_range(double value, const Scalar& scalar, const FieldDescriptor& field) {
  const auto& options = field.options();
  const bool low = options.HasExtension(schemas::min) && value < options.GetExtension(schemas::min);
  const bool high =
      options.HasExtension(schemas::max) && value > options.GetExtension(schemas::max);
  if (!low && !high) return std::nullopt;
  return fmt::format("is {}: allowed is {}", scalar.text, allowed_range(field));
}

Wrong set_whole(Message& message, const FieldDescriptor& field, const Scalar& scalar) {
  const bool wide = field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
  std::uint64_t value = 0;
  const char* begin = scalar.text.data();
  const char* end = begin + scalar.text.size();
  const auto [rest, error] = std::from_chars(begin, end, value);
  if (error == std::errc::result_out_of_range ||
      (error == std::errc() && rest == end && !wide &&
       value > std::numeric_limits<std::uint32_t>::max())) {
    const std::string most = wide
                                 ? fmt::format("0 to {}", std::numeric_limits<std::uint64_t>::max())
                                 : allowed_range(field);
    return fmt::format("is {}: allowed is {}", scalar.text, most);
  }
  if (error != std::errc() || rest != end) {
    const auto number = parse_number(scalar.text);
    if (number && *number < 0)
      return fmt::format("is {}: allowed is {}", scalar.text, allowed_range(field));
    return not_expected(scalar, field);
  }
  if (auto wrong = out_of_range(static_cast<double>(value), scalar, field)) return wrong;
  if (wide) {
    message.GetReflection()->SetUInt64(&message, &field, value);
  } else {
    message.GetReflection()->SetUInt32(&message, &field, static_cast<std::uint32_t>(value));
  }
  return std::nullopt;
}

Wrong set_number(Message& message, const FieldDescriptor& field, const Scalar& scalar) {
  const auto value = parse_number(scalar.text);
  if (!value) return not_expected(scalar, field);
  if (auto wrong = out_of_range(*value, scalar, field)) return wrong;
  message.GetReflection()->SetDouble(&message, &field, *value);
  return std::nullopt;
}

Wrong set_switch(Message& message, const FieldDescriptor& field, const Scalar& scalar) {
  if (scalar.text != "true" && scalar.text != "false") return not_expected(scalar, field);
  message.GetReflection()->SetBool(&message, &field, scalar.text == "true");
  return std::nullopt;
}

Wrong check_choice(const FieldDescriptor& field, const Scalar& scalar) {
  const auto choices = choices_of(field);
  if (choices.empty() || std::find(choices.begin(), choices.end(), scalar.text) != choices.end()) {
    return std::nullopt;
  }
  const auto near = nearest(scalar.text, choices);
  return not_expected(scalar, field) + (near ? fmt::format("; did you mean '{}'?", *near) : "");
}

Wrong check_kind(const FieldDescriptor& field, const Scalar& scalar) {
  const bool may_be_empty =
      !field.is_repeated() && !is_required(field) && default_text(field).empty();
  if (scalar.text.empty()) {
    if (may_be_empty) return std::nullopt;
    return "is empty: expected " +
           (field.is_repeated() ? "a length such as 90ep" : expected(field));
  }
  const auto duration = parse_duration(scalar.text);
  switch (kind_of(field)) {
    case schemas::BYTES:
      if (!parse_bytes(scalar.text)) return not_expected(scalar, field);
      break;
    case schemas::DURATION:
      if (!duration) return not_expected(scalar, field);
      break;
    case schemas::LENGTH:
      if (!duration)
        return fmt::format("is {}: expected a length such as 90ep, 1.5ep or 5000 steps",
                           shown(scalar));
      if (duration->unit == Duration::Unit::kSeconds) {
        return fmt::format("is {}, a time: expected steps or epochs, such as 5000 steps or 90ep",
                           shown(scalar));
      }
      break;
    case schemas::PATH:
    case schemas::PLAIN:
      break;
  }
  return std::nullopt;
}

Wrong set_text(Message& message, const FieldDescriptor& field, const Scalar& scalar) {
  if (auto wrong = check_kind(field, scalar)) return wrong;
  if (auto wrong = check_choice(field, scalar)) return wrong;
  if (field.is_repeated()) {
    message.GetReflection()->AddString(&message, &field, scalar.text);
  } else {
    message.GetReflection()->SetString(&message, &field, scalar.text);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> set_scalar(Message& message, const FieldDescriptor& field,
                                      const Scalar& scalar) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) return set_text(message, field, scalar);
  if (scalar.quoted) {
    return fmt::format("is the text \"{}\": expected {}, without quotes", scalar.text,
                       expected(field));
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return set_switch(message, field, scalar);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return set_number(message, field, scalar);
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return set_whole(message, field, scalar);
    default:
      throw std::logic_error("config.proto: " + field.full_name() +
                             " has a type that settings do not have");
  }
}

}  // namespace bit::launcher
