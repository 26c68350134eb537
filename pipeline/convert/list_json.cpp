// List files of JSON lines: one object a line, read without building it.
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "pipeline/convert/list_rows.h"
#include "storage/delimited_text.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

using nlohmann::json;

// Takes from the events of a line the fields that a row is made of; everything else, whatever it
// nests, is passed over. Its methods throw storage::DataError with the reason alone.
class ObjectReader final : public nlohmann::json_sax<json> {
 public:
  explicit ObjectReader(const ListFileOptions& options) : separator_(options.label_separator) {
    for (const auto& [role, field] : options.columns) {
      given_[static_cast<std::size_t>(list_role_named(role))] = field;
    }
  }

  // Views in the row are valid until the next call.
  void read(std::string_view line, ListRow& row) {
    path_.clear();
    key_.clear();
    row.labels.clear();
    row.absent = false;
    row.fault.clear();
    row_ = &row;
    label_count_ = depth_ = 0;
    role_.reset();
    for (std::string& field : seen_) field.clear();
    json::sax_parse(line.begin(), line.end(), this);
    if (path_.empty()) throw storage::DataError("no path in the object");
    row.path = path_;
    row.key = key_;
    for (const std::string& label : std::span(labels_).first(label_count_)) {
      if (separator_.empty()) {
        row.labels.push_back(label);
      } else {
        split_labels(label, separator_, row.labels);
      }
    }
  }

  bool null() override { return value("nothing", Kind::kNull); }
  bool boolean(bool truth) override { return value(truth ? "true" : "false", Kind::kOther); }
  bool number_integer(std::int64_t number) override {
    return value(std::to_string(number), Kind::kWhole);
  }
  bool number_unsigned(std::uint64_t number) override {
    return value(std::to_string(number), Kind::kWhole);
  }
  bool number_float(double, const std::string& text) override { return value(text, Kind::kReal); }
  bool string(std::string& text) override { return value(text, Kind::kText); }
  bool binary(json::binary_t&) override { return true; }

  bool start_object(std::size_t) override {
    if (role_) throw storage::DataError(role_text() + "an object");
    ++depth_;
    return true;
  }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override {
    if (depth_ == 0) throw storage::DataError(kNoObject);
    if (role_ && (role_ != ListRole::kLabels || depth_ > 1)) {
      throw storage::DataError(role_text() + "a list" + (depth_ > 1 ? " of lists" : ""));
    }
    ++depth_;
    return true;
  }
  bool end_array() override { return leave(); }

  bool key(std::string& name) override {
    if (depth_ != 1) return true;
    role_ = role_of(name);
    if (!role_) return true;
    std::string& seen = seen_[static_cast<std::size_t>(*role_)];
    if (seen == name) throw storage::DataError("`" + name + "` is there twice");
    if (!seen.empty()) {
      throw storage::DataError("`" + seen + "` and `" + name + "` could both be the " +
                               std::string(list_role_name(*role_)) + ": say which with --column");
    }
    seen = name;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override {
    throw storage::DataError(kNoObject);
  }

 private:
  static constexpr const char* kNoObject = "not a JSON object";
  enum class Kind { kNull, kWhole, kReal, kText, kOther };

  std::optional<ListRole> role_of(const std::string& name) const {
    for (std::size_t i = 0; i < kListRoles; ++i) {
      if (!given_[i].empty() && given_[i] == name) return static_cast<ListRole>(i);
    }
    const auto usual = usual_list_role(name);
    if (!usual || !given_[static_cast<std::size_t>(*usual)].empty()) return std::nullopt;
    return usual;
  }

  static bool is_above_zero(std::string_view number) {
    double value = 0;
    std::from_chars(number.data(), number.data() + number.size(), value);
    return value > 0;
  }

  std::string role_text() const { return std::string(list_role_name(*role_)) + ": "; }

  bool leave() {
    --depth_;
    return true;
  }

  bool value(std::string_view text, Kind kind) {
    if (depth_ == 0) throw storage::DataError(kNoObject);
    if (!role_ || kind == Kind::kNull) return true;
    const auto refuse = [&](const char* wanted) {
      row_->fault = role_text() + "`" + std::string(text.substr(0, 100)) + "` is " + wanted;
    };
    switch (*role_) {
      case ListRole::kPath:
        if (kind != Kind::kText) throw storage::DataError("path: not text");
        path_ = text;
        break;
      case ListRole::kKey:
        if (kind == Kind::kText || kind == Kind::kWhole) key_ = text;
        break;
      case ListRole::kConfidence:
        if (kind != Kind::kWhole && kind != Kind::kReal) refuse("not a number");
        row_->absent = !is_above_zero(text);
        break;
      case ListRole::kLabels:
        if (kind == Kind::kText || kind == Kind::kWhole) {
          add_label(text);
        } else {
          refuse("neither a name nor a whole number");
        }
        break;
    }
    return true;
  }

  void add_label(std::string_view text) {
    if (text.empty() || label_count_ > kMaxLabels) return;  // one more is enough to see
    if (label_count_ == labels_.size()) labels_.emplace_back();
    labels_[label_count_++] = text;
  }

  const std::string separator_;
  std::array<std::string, kListRoles> given_;  // [role]: name of its field, as the options say

  ListRow* row_ = nullptr;
  std::size_t depth_ = 0;
  std::optional<ListRole> role_;              // of the value that is next; none: passed over
  std::array<std::string, kListRoles> seen_;  // [role]: name of its field in this line
  std::string path_, key_;
  std::vector<std::string> labels_;  // label_count_ of them in this line
  std::size_t label_count_ = 0;
};

class JsonRows final : public ListRows {
 public:
  JsonRows(const storage::ReadableFile& file, const ListFileOptions& options)
      : path_(file.path()), lines_(file), object_(options) {}

  bool next(ListRow& row) override {
    for (;;) {
      const auto line = lines_.next();
      if (!line) return false;
      if (line->find_first_not_of(" \t\r") == std::string_view::npos) continue;
      row.line = lines_.line();
      try {
        object_.read(*line, row);
      } catch (const storage::DataError& error) {
        throw storage::DataError(storage::at_line(path_, row.line, error.what()));
      }
      return true;
    }
  }

 private:
  const std::string path_;
  storage::LineReader lines_;
  ObjectReader object_;
};

}  // namespace

std::unique_ptr<ListRows> json_rows(const storage::ReadableFile& file,
                                    const ListFileOptions& options) {
  return std::make_unique<JsonRows>(file, options);
}

}  // namespace bit::pipeline
