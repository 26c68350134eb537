#include "pipeline/convert/label_names.h"

#include <google/protobuf/stubs/common.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

// The number that `text` is, if it is one.
std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end) return std::nullopt;
  return number;
}

bool is_utf8(std::string_view text) {
  return google::protobuf::internal::IsStructurallyValidUTF8(text.data(),
                                                             static_cast<int>(text.size()));
}

bool is_wordnet_id(std::string_view text) {
  return text.size() == 9 && text.front() == 'n' &&
         std::ranges::all_of(text.substr(1), [](char c) { return c >= '0' && c <= '9'; });
}

// The name of the class that a line of a class list is about.
std::string_view name_in(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  const std::string_view first = line.substr(0, line.find_first_of(" \t,"));
  return is_wordnet_id(first) ? first : line;
}

}  // namespace

ClassList read_class_list(storage::FileSystem& files, const std::string& path) {
  const std::string text = storage::read_file(files, path);
  ClassList classes{{}, path};
  std::unordered_map<std::string, std::size_t> lines;
  std::string_view rest(text);
  while (!rest.empty() && (rest.back() == '\n' || rest.back() == '\r')) rest.remove_suffix(1);
  for (std::size_t line = 1; !rest.empty(); ++line) {
    const std::size_t end = rest.find('\n');
    std::string name(name_in(rest.substr(0, end)));
    const std::string where = path + ":" + std::to_string(line) + ": ";
    if (name.empty()) throw storage::DataError(where + "a line without a class");
    if (!is_utf8(name)) throw storage::DataError(where + "not UTF-8, as dataset.json needs it");
    const auto [first, fresh] = lines.emplace(name, line);
    if (!fresh) {
      throw storage::DataError(where + "class `" + name + "` is in line " +
                               std::to_string(first->second) + " already");
    }
    classes.names.push_back(std::move(name));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  if (classes.names.empty()) throw storage::DataError(path + ": no classes in it");
  return classes;
}

LabelNames::LabelNames(ClassList classes)
    : names_(std::move(classes.names)), source_(std::move(classes.source)), given_(true) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    labels_.emplace(names_[i], static_cast<std::int32_t>(i));
  }
}

std::int32_t LabelNames::label(std::string_view text, std::int64_t first) {
  if (given_) {
    if (const auto known = labels_.find(text); known != labels_.end()) return known->second;
  }
  const auto number = number_in(text);
  return number ? label_of_number(*number, first) : label_of_name(text);
}

std::int32_t LabelNames::label_of_number(std::int64_t number, std::int64_t first) {
  const auto text = [&] { return "label " + std::to_string(number); };
  if (number < first) {
    throw storage::DataError(text() + ", but labels start at " + std::to_string(first));
  }
  // No overflow: number >= first.
  const std::uint64_t label =
      static_cast<std::uint64_t>(number) - static_cast<std::uint64_t>(first);
  if (given_ && label >= names_.size()) {
    throw storage::DataError(text() + ", but " + source_ + " has " + std::to_string(names_.size()) +
                             " classes");
  }
  if (label > std::numeric_limits<std::int32_t>::max() - 1) {
    throw storage::DataError(text() + " is too large");
  }
  if (!given_ && !names_.empty()) {
    throw storage::DataError(text() + " among names such as `" + names_.front() + "`");
  }
  numbers_ = true;
  return static_cast<std::int32_t>(label);
}

std::int32_t LabelNames::label_of_name(std::string_view name) {
  if (const auto known = labels_.find(name); known != labels_.end()) return known->second;
  if (name.empty()) throw storage::DataError("an empty label");
  if (given_) throw storage::DataError("class `" + std::string(name) + "` is not in " + source_);
  if (numbers_) throw storage::DataError("name `" + std::string(name) + "` among numbers");
  if (!is_utf8(name)) {
    throw storage::DataError("the name of class `" + std::string(name) +
                             "` is not UTF-8, as dataset.json needs it");
  }
  const auto label = static_cast<std::int32_t>(names_.size());
  names_.emplace_back(name);
  labels_.emplace(names_.back(), label);
  return label;
}

LabelNames::Final LabelNames::finish() const {
  if (given_ || numbers_) return {names_, {}};
  Final final;
  std::vector<std::size_t> order(names_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) -> const std::string& { return names_[i]; });
  final.label_of.resize(names_.size());
  for (std::size_t label = 0; label < order.size(); ++label) {
    final.names.push_back(names_[order[label]]);
    final.label_of[order[label]] = static_cast<std::int32_t>(label);
  }
  return final;
}

}  // namespace bit::pipeline
