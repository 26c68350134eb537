// docs/config.md: every setting with its type, default, range and meaning, from the schema alone.
#include "launcher/config_fields.h"

namespace bit::launcher {
namespace {

constexpr const char* kIntroduction = R"(# Configuration

<!-- Generated from schemas/config.proto by `bit-launch --config-reference`. Change the comments there. -->

A run is one YAML file: `bit-launch RUN.yaml`. Settings that are left out have the defaults below; only `output` and
`data.path` have none. `bit-launch RUN.yaml --print-config` shows every setting with its value and where the value comes
from, `--dry-run` what the run would do. All mistakes of a file are reported together, each as `file:line:column`.

Any setting can be given on the command line as well, by its full name. The command line wins over the file, and the
last of several wins:

    bit-launch configs/quickstart.yaml batch=256 optimizer.learning_rate=0.03 schedule.drops=[30ep,60ep]

## Units

| where it says | write | meaning |
|---|---|---|
| length | `90ep`, `1.5ep`, `5000 steps`, `5000` | epochs (passes over the training split) or steps (updates of the weights); a plain number is steps |
| duration | a length, or `30s`, `10min`, `2h` | the same, or time |
| size | `512MiB`, `2GB`, `4096` | `KiB`, `MiB`, `GiB` count in 1024, `kB`, `MB`, `GB`, `TB` in 1000; a plain number is bytes |
| list | `[30ep, 60ep]` | any number of values |
)";

std::string type_text(const FieldDescriptor& field) {
  if (field.is_repeated()) return "list of lengths";
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "`true` or `false`";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "number";
    case FieldDescriptor::CPPTYPE_STRING:
      break;
    default:
      return "whole number";
  }
  std::string choices;
  for (const std::string& choice : choices_of(field))
    choices += (choices.empty() ? "`" : " or `") + choice + "`";
  if (!choices.empty()) return choices;
  switch (kind_of(field)) {
    case schemas::DURATION:
      return "duration";
    case schemas::LENGTH:
      return "length";
    case schemas::BYTES:
      return "size";
    case schemas::PATH:
      return "path";
    case schemas::PLAIN:
      break;
  }
  return "text";
}

std::string default_cell(const FieldDescriptor& field) {
  if (is_required(field)) return "*required*";
  if (field.is_repeated()) return "`[]`";
  const std::string value = default_text(field);
  return value.empty() ? "empty" : "`" + value + "`";
}

// A text cell of a Markdown table: a bar would end it.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

// A lower and an upper end share the comment that stands before the lower one.
std::string meaning(const FieldDescriptor& field) {
  const std::string own = comment_of(field.full_name());
  if (!own.empty() || !field.name().ends_with("_max")) return own;
  const std::string low = field.full_name().substr(0, field.full_name().size() - 3) + "min";
  return comment_of(low).empty() ? ""
                                 : "The upper end of `" + low.substr(low.rfind('.') + 1) + "`.";
}

void describe_group(const Descriptor& group, const std::string& prefix, std::string& out) {
  out += "\n| key | type | default | range | meaning |\n|---|---|---|---|---|\n";
  for (int i = 0; i < group.field_count(); ++i) {
    const FieldDescriptor& field = *group.field(i);
    if (is_group(field)) continue;
    const bool number = is_whole(field) || field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
    out += "| `" + prefix + field.name() + "` | " + type_text(field) + " | " + default_cell(field) +
           " | " + (number ? allowed_range(field) : "") + " | " + cell(meaning(field)) + " |\n";
  }
  for (int i = 0; i < group.field_count(); ++i) {
    const FieldDescriptor& field = *group.field(i);
    if (!is_group(field)) continue;
    const std::string key = prefix + field.name();
    out += "\n## `" + key + "`\n";
    const std::string comment = comment_of(field.message_type()->full_name());
    if (!comment.empty()) out += "\n" + comment + "\n";
    describe_group(*field.message_type(), key + ".", out);
  }
}

}  // namespace

std::string config_reference() {
  std::string out = kIntroduction;
  out += "\n## The run\n";
  describe_group(*schemas::RunConfig::descriptor(), "", out);
  return out;
}

}  // namespace bit::launcher
