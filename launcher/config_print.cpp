// A configuration as YAML that reads back to the same configuration.
#include <algorithm>
#include <cctype>

#include "launcher/config_fields.h"

namespace bit::launcher {
namespace {

bool is_plain(const std::string& text) {
  const auto inside = [](char c) {
    return (std::isalnum(static_cast<unsigned char>(c)) != 0) || c == '_' || c == '.' || c == '/' ||
           c == '-' || c == '+' || c == ' ';
  };
  if (text.empty() || !std::all_of(text.begin(), text.end(), inside)) return false;
  const char first = text.front();
  if (first == ' ' || first == '-' || first == '+' || text.back() == ' ' || text.starts_with("..."))
    return false;
  // Words that YAML gives a meaning of their own.
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower != "null" && lower != "true" && lower != "false" && lower != "yes" && lower != "no";
}

std::string quoted(const std::string& text) {
  if (is_plain(text)) return text;
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string yaml_value(const Message& group, const FieldDescriptor& field) {
  const bool is_text = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  if (!field.is_repeated()) {
    const std::string text = value_text(group, field);
    return is_text ? quoted(text) : text;
  }
  std::string list = "[";
  for (int i = 0; i < group.GetReflection()->FieldSize(group, &field); ++i) {
    list += (i > 0 ? ", " : "") + quoted(value_text(group, field, i));
  }
  return list + "]";
}

// Words of a comment in lines of at most 100 columns, each behind "# ".
std::string comment_lines(const std::string& comment, const std::string& indent) {
  std::string out;
  std::string line;
  std::size_t start = 0;
  while (start < comment.size()) {
    const std::size_t end = std::min(comment.find(' ', start), comment.size());
    const std::string word = comment.substr(start, end - start);
    if (!line.empty() && indent.size() + line.size() + word.size() + 3 > 100) {
      out += indent + "#" + line + "\n";
      line.clear();
    }
    line += " " + word;
    start = end + 1;
  }
  if (!line.empty()) out += indent + "#" + line + "\n";
  return out;
}

// An origin may quote an override, and that may hold anything.
std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

struct Style {
  const Origins* origins;
  bool comments;
};

void print_group(const Message& group, const std::string& prefix, const std::string& indent,
                 const Style& style, std::string& out) {
  const Descriptor& descriptor = *group.GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor& field = *descriptor.field(i);
    const std::string key = prefix + field.name();
    if (style.comments) {
      out += comment_lines(
          comment_of(is_group(field) ? field.message_type()->full_name() : field.full_name()),
          indent);
    }
    if (is_group(field)) {
      out += indent + field.name() + ":\n";
      print_group(group.GetReflection()->GetMessage(group, &field), key + ".", indent + "  ", style,
                  out);
      continue;
    }
    std::string line = indent + field.name() + ": " + yaml_value(group, field);
    if (style.origins != nullptr) {
      const auto origin = style.origins->find(key);
      if (origin != style.origins->end()) {
        line.resize(std::max<std::size_t>(line.size() + 2, 40), ' ');
        line += "# " + one_line(origin->second);
      }
    }
    out += line + "\n";
  }
}

}  // namespace

std::string print_config(const schemas::RunConfig& config, const Origins* origins, bool comments) {
  std::string out;
  print_group(config, "", "", {origins, comments}, out);
  return out;
}

}  // namespace bit::launcher
