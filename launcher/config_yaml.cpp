// Walks the YAML file along the descriptor of RunConfig. Every mistake is noted with its place and
// the walk goes on.
#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "launcher/config_fields.h"
#include "launcher/config_reader.h"

namespace bit::launcher {
namespace {

struct PlacedMistake {
  YAML::Mark mark;
  std::string what;
  std::string shown = {};
};

// The line of a place, and below it a caret.
std::string line_at(std::string_view yaml, const YAML::Mark& mark) {
  std::istringstream lines{std::string(yaml)};
  std::string line;
  for (int number = 0; number <= mark.line; ++number) {
    if (!std::getline(lines, line)) return "";
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  const auto column = std::min(static_cast<std::size_t>(std::max(mark.column, 0)), line.size());
  std::string below(column, ' ');
  for (std::size_t i = 0; i < column; ++i) {
    if (line[i] == '\t') below[i] = '\t';
  }
  return "  " + line + "\n  " + below + "^";
}

class YamlWalk {
 public:
  YamlWalk(std::string name, Reading& reading) : name_(std::move(name)), reading_(reading) {}

  void read(std::string_view yaml);

 private:
  void check_tabs(std::string_view yaml);
  void read_document(std::string_view yaml);
  void read_group(const YAML::Node& node, const YAML::Mark& mark, const std::string& group,
                  Message& message);
  void read_key(const YAML::Node& value, const YAML::Mark& key_mark, const std::string& dotted,
                Message& message, const FieldDescriptor& field);
  void read_setting(const YAML::Node& value, const YAML::Mark& mark, const std::string& dotted,
                    Message& message, const FieldDescriptor& field);
  void note(const YAML::Mark& mark, std::string what) {
    mistakes_.push_back({mark, std::move(what)});
  }
  std::string place(const YAML::Mark& mark) const {
    return fmt::format("{}:{}:{}", name_, std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1);
  }

  std::string name_;
  Reading& reading_;
  std::vector<PlacedMistake> mistakes_;
};

YAML::Mark mark_at(int line, int column) {
  YAML::Mark mark;
  mark.line = line;
  mark.column = column;
  return mark;
}

// What a value that is not a scalar is, in words.
std::string found(const YAML::Node& node) {
  if (node.IsMap()) return "is a group of settings";
  if (node.IsSequence()) return "is a list";
  if (node.IsScalar()) return "is '" + node.Scalar() + "'";
  return "has no value";
}

Scalar scalar_of(const YAML::Node& node) { return {node.Scalar(), node.Tag() == "!"}; }

// Where the last document starts that the parser came to.
class DocumentStart final : public YAML::EventHandler {
 public:
  YAML::Mark mark;

 private:
  using Anchor = YAML::anchor_t;
  using Style = YAML::EmitterStyle::value;
  void OnDocumentStart(const YAML::Mark& start) override { mark = start; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, Anchor) override {}
  void OnAlias(const YAML::Mark&, Anchor) override {}
  void OnScalar(const YAML::Mark&, const std::string&, Anchor, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, Anchor, Style) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, Anchor, Style) override {}
  void OnMapEnd() override {}
};

// Place of a second document. YAML::LoadAll would tell as well, but it does not end on some texts
// (a comma at the start): it takes what it cannot read for one empty document after the other.
std::optional<YAML::Mark> second_document(const std::string& yaml) {
  std::istringstream text(yaml);
  YAML::Parser parser(text);
  DocumentStart start;
  if (parser.HandleNextDocument(start) && parser.HandleNextDocument(start)) return start.mark;
  return std::nullopt;
}

void YamlWalk::read(std::string_view yaml) {
  check_tabs(yaml);
  if (mistakes_.empty()) read_document(yaml);
  std::stable_sort(
      mistakes_.begin(), mistakes_.end(), [](const PlacedMistake& a, const PlacedMistake& b) {
        return std::pair(a.mark.line, a.mark.column) < std::pair(b.mark.line, b.mark.column);
      });
  for (const PlacedMistake& mistake : mistakes_) {
    reading_.mistakes.push_back({place(mistake.mark), mistake.what, mistake.shown});
  }
}

// YAML forbids tabs in indentation; the parser's own message about it is hard to understand.
void YamlWalk::check_tabs(std::string_view yaml) {
  std::istringstream lines{std::string(yaml)};
  int number = 0;
  for (std::string line; std::getline(lines, line); ++number) {
    const std::size_t text = line.find_first_not_of(" \t\r");
    const std::size_t tab = line.find('\t');
    if (text != std::string::npos && line[text] != '#' && tab < text) {
      note(mark_at(number, static_cast<int>(tab)), "a tab in the indentation: YAML wants spaces");
    }
  }
}

void YamlWalk::read_document(std::string_view yaml) {
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    const auto second = second_document(std::string(yaml));
    if (second) note(*second, "a second document starts here: expected one");
    if (root.IsMap()) {
      read_group(root, root.Mark(), "", reading_.config);
    } else if (!root.IsNull()) {
      note(root.Mark(),
           "the file " + found(root) + ": expected settings such as 'output: runs/first'");
    } else if (!second) {
      note(mark_at(0, 0), "the file is empty: expected settings such as 'output: runs/first'");
    }
  } catch (const YAML::Exception& error) {
    mistakes_.push_back({error.mark, "this is not YAML: " + error.msg, line_at(yaml, error.mark)});
  }
}

void YamlWalk::read_group(const YAML::Node& node, const YAML::Mark& mark, const std::string& group,
                          Message& message) {
  if (node.IsNull()) return;  // "model:" with nothing under it: all defaults
  const Descriptor& descriptor = *message.GetDescriptor();
  if (!node.IsMap()) {
    const std::string name = group.substr(group.rfind('.') + 1);
    note(mark,
         fmt::format("{} {}: expected settings indented under '{}:'", group, found(node), name));
    return;
  }
  std::map<std::string, int> lines;  // of each key's first appearance
  for (const auto& entry : node) {
    const YAML::Mark key_mark = entry.first.Mark();
    if (!entry.first.IsScalar()) {
      note(key_mark, "a key that is not a word: expected 'key: value'");
      continue;
    }
    const std::string& key = entry.first.Scalar();
    const auto [first, is_new] = lines.try_emplace(key, key_mark.line + 1);
    const FieldDescriptor* field = descriptor.FindFieldByName(key);
    if (!is_new) {
      note(key_mark, fmt::format("'{}' is given twice: first in line {}", key, first->second));
    } else if (field == nullptr) {
      note(key_mark, "unknown key '" + key + "'" + suggestion(descriptor, group, key, false));
    } else {
      read_key(entry.second, key_mark, group.empty() ? key : group + "." + key, message, *field);
    }
  }
}

void YamlWalk::read_key(const YAML::Node& value, const YAML::Mark& key_mark,
                        const std::string& dotted, Message& message, const FieldDescriptor& field) {
  // Absent values have no place of their own.
  const YAML::Mark mark = value.IsNull() || value.Mark().is_null() ? key_mark : value.Mark();
  if (is_group(field)) {
    read_group(value, mark, dotted, *message.GetReflection()->MutableMessage(&message, &field));
    return;
  }
  reading_.origins[dotted] = place(mark);
  const std::size_t before = mistakes_.size();
  read_setting(value, mark, dotted, message, field);
  if (mistakes_.size() > before) reading_.rejected.insert(dotted);
}

void YamlWalk::read_setting(const YAML::Node& value, const YAML::Mark& mark,
                            const std::string& dotted, Message& message,
                            const FieldDescriptor& field) {
  if (value.IsScalar() && !field.is_repeated()) {
    if (const auto wrong = set_scalar(message, field, scalar_of(value)))
      note(mark, dotted + " " + *wrong);
    return;
  }
  if (!value.IsSequence() || !field.is_repeated()) {
    note(mark, fmt::format("{} {}: expected {}", dotted, found(value), expected(field)));
    return;
  }
  std::size_t index = 0;
  for (const YAML::Node& element : value) {
    const std::string name = fmt::format("{}[{}]", dotted, index++);
    const auto wrong =
        element.IsScalar() ? set_scalar(message, field, scalar_of(element)) : found(element);
    if (wrong) note(element.Mark(), name + " " + *wrong);
  }
}

class OverrideWalk {
 public:
  OverrideWalk(std::size_t index, const std::string& text, Reading& reading)
      : where_(fmt::format("override {} ({})", index, text)), text_(text), reading_(reading) {}

  void read() {
    const std::size_t equals = text_.find('=');
    if (equals == std::string::npos || equals == 0) {
      note("expected key=value, such as optimizer.learning_rate=0.1");
      return;
    }
    key_ = text_.substr(0, equals);
    value_ = text_.substr(equals + 1);
    Message* message = &reading_.config;
    std::string group;
    std::istringstream parts(key_);
    for (std::string part; std::getline(parts, part, '.');) {
      const Descriptor& here = *message->GetDescriptor();
      const FieldDescriptor* field = here.FindFieldByName(part);
      if (field == nullptr) {
        note("unknown key '" + key_ + "'" + suggestion(here, group, part, true));
        return;
      }
      group += (group.empty() ? "" : ".") + part;
      if (is_group(*field)) {
        message = message->GetReflection()->MutableMessage(message, field);
      } else if (group == key_) {
        set(*message, *field);
        return;
      } else {
        note(fmt::format("unknown key '{}': '{}' has no settings of its own", key_, group));
        return;
      }
    }
    note(fmt::format("'{}' is a group of settings: name one of them, such as {}.{}", key_, group,
                     message->GetDescriptor()->field(0)->name()));
  }

 private:
  void note(std::string what) { reading_.mistakes.push_back({where_, std::move(what)}); }

  void set(Message& message, const FieldDescriptor& field) {
    message.GetReflection()->ClearField(&message, &field);
    reading_.rejected.erase(key_);
    reading_.origins[key_] = where_;
    const std::size_t before = reading_.mistakes.size();
    if (field.is_repeated()) {
      set_list(message, field);
    } else if (const auto wrong = set_scalar(message, field, {value_, false})) {
      note(key_ + " " + *wrong);
    }
    if (reading_.mistakes.size() > before) reading_.rejected.insert(key_);
  }

  // "[a, b]"; a value alone is a list of one, nothing an empty list.
  void set_list(Message& message, const FieldDescriptor& field) {
    try {
      const YAML::Node node = YAML::Load(value_);
      if (node.IsMap()) note(fmt::format("{} {}: expected {}", key_, found(node), expected(field)));
      if (node.IsScalar()) add_element(message, field, node, 0);
      if (!node.IsSequence()) return;
      std::size_t index = 0;
      for (const YAML::Node& element : node) add_element(message, field, element, index++);
    } catch (const YAML::Exception&) {
      note(fmt::format("{} is '{}': expected {}", key_, value_, expected(field)));
    }
  }

  void add_element(Message& message, const FieldDescriptor& field, const YAML::Node& element,
                   std::size_t index) {
    const auto wrong =
        element.IsScalar() ? set_scalar(message, field, scalar_of(element)) : found(element);
    if (wrong) note(fmt::format("{}[{}] {}", key_, index, *wrong));
  }

  std::string where_;
  const std::string& text_;
  std::string key_;
  std::string value_;
  Reading& reading_;
};

}  // namespace

void read_yaml(std::string_view yaml, const std::string& name, Reading& reading) {
  YamlWalk(name, reading).read(yaml);
}

void read_overrides(const std::vector<std::string>& overrides, Reading& reading) {
  for (std::size_t i = 0; i < overrides.size(); ++i)
    OverrideWalk(i + 1, overrides[i], reading).read();
}

}  // namespace bit::launcher
