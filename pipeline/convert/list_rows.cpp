// The formats of list files, and what they share.
#include "pipeline/convert/list_rows.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

constexpr std::array<std::string_view, kListRoles> kRoleNames = {"path", "labels", "key",
                                                                 "confidence"};

struct UsualName {
  std::string_view name;  // in small letters
  ListRole role;
};
// ImageID, LabelName and Confidence are Open Images'; file_name is Hugging Face's.
constexpr std::array<UsualName, 17> kUsualNames = {{
    {"path", ListRole::kPath},
    {"file", ListRole::kPath},
    {"filename", ListRole::kPath},
    {"file_name", ListRole::kPath},
    {"image", ListRole::kPath},
    {"image_path", ListRole::kPath},
    {"imageid", ListRole::kPath},
    {"label", ListRole::kLabels},
    {"labels", ListRole::kLabels},
    {"class", ListRole::kLabels},
    {"target", ListRole::kLabels},
    {"labelname", ListRole::kLabels},
    {"synset", ListRole::kLabels},
    {"wnid", ListRole::kLabels},
    {"key", ListRole::kKey},
    {"id", ListRole::kKey},
    {"confidence", ListRole::kConfidence},
}};

char small_letter(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

// "12", "n01440764"
bool is_number_or_wordnet_id(std::string_view word) {
  if (word.size() == 9 && word.front() == 'n') word.remove_prefix(1);
  return !word.empty() && std::ranges::all_of(word, is_digit);
}

// Calls `part` for what is between the separators, without the spaces around it, as long as it says
// true.
template <typename Part>
bool for_each_part(std::string_view text, std::string_view separator, bool any_of, Part part) {
  for (;;) {
    const std::size_t end = any_of ? text.find_first_of(separator) : text.find(separator);
    const std::string_view one = trimmed(text.substr(0, end));
    if (!one.empty() && !part(one)) return false;
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + (any_of ? 1 : separator.size()));
  }
}

}  // namespace

std::string_view list_role_name(ListRole role) {
  return kRoleNames[static_cast<std::size_t>(role)];
}

std::optional<ListRole> usual_list_role(std::string_view name) {
  name = trimmed(name);
  for (const UsualName& usual : kUsualNames) {
    if (std::ranges::equal(name, usual.name, {}, small_letter)) return usual.role;
  }
  return std::nullopt;
}

ListRole list_role_named(const std::string& name) {
  if (name == "label") return ListRole::kLabels;
  for (std::size_t i = 0; i < kListRoles; ++i) {
    if (kRoleNames[i] == name) return static_cast<ListRole>(i);
  }
  throw storage::DataError("columns: no `" + name +
                           "` is read from a list (path, labels, key and confidence are)");
}

void split_labels(std::string_view cell, std::string_view separator,
                  std::vector<std::string_view>& labels) {
  const auto add = [&](std::string_view label) {
    labels.push_back(label);
    return labels.size() <= kMaxLabels;  // one more than there may be is enough to see
  };
  if (!separator.empty()) {
    for_each_part(cell, separator, false, add);
    return;
  }
  for_each_part(cell, ";|", true, [&](std::string_view part) {
    if (part.find(' ') == std::string_view::npos) return add(part);
    const bool split = for_each_part(part, " ", true, is_number_or_wordnet_id);
    return split ? for_each_part(part, " ", true, add) : add(part);
  });
}

std::unique_ptr<ListRows> open_list_rows(const storage::ReadableFile& file,
                                         const ListFileOptions& options) {
  std::string name = options.path;
  std::ranges::transform(name, name.begin(), small_letter);
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  if (name.ends_with(".csv")) return csv_rows(file, ',', options);
  if (name.ends_with(".tsv")) return csv_rows(file, '\t', options);
  if (name.ends_with(".txt")) return text_rows(file, options);
  if (name.ends_with(".jsonl") || name.ends_with(".ndjson")) return json_rows(file, options);
  throw storage::DataError(options.path +
                           ": a list of images ends in .csv, .tsv, .txt, .jsonl or .ndjson");
}

}  // namespace bit::pipeline
