// Braces first, as shells do, then NAME@N, then globs component by component.
#include "storage/file_patterns.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

constexpr std::uint64_t kMostFiles = 1'000'000;  // that a pattern may name
constexpr std::size_t kNamedMissing = 5;         // in a message

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 9 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::uint64_t number(std::string_view digits) {
  std::uint64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

std::string padded(std::uint64_t value, std::size_t width) {
  const std::string digits = std::to_string(value);
  return digits.size() < width ? std::string(width - digits.size(), '0') + digits : digits;
}

std::string shard_suffix(std::uint64_t shard, std::uint64_t total) {
  return "-" + padded(shard, 5) + "-of-" + padded(total, 5);
}

// "<stem>-00003-of-01024<extension>"
struct NumberedName {
  std::string stem, extension;  // the extension with its dot
  std::uint64_t shard = 0, total = 0;
};

std::optional<NumberedName> parse_numbered(const std::string& path) {
  constexpr std::size_t kDigits = 5;
  const std::size_t of = path.rfind("-of-");
  if (of == std::string::npos || path.find('/', of) != std::string::npos) return std::nullopt;
  const std::size_t end = std::min(path.find('.', of), path.size());
  const std::size_t dash = of == 0 ? std::string::npos : path.rfind('-', of - 1);
  if (dash == std::string::npos) return std::nullopt;
  const std::string_view text(path);
  const auto shard = text.substr(dash + 1, of - dash - 1),
             total = text.substr(of + 4, end - of - 4);
  if (!is_number(shard) || !is_number(total) || shard.size() < kDigits || total.size() < kDigits) {
    return std::nullopt;
  }
  return NumberedName{path.substr(0, dash), path.substr(end), number(shard), number(total)};
}

[[noreturn]] void fail_missing(const std::string& what, const std::vector<std::string>& missing,
                               std::uint64_t count) {
  std::string names;
  for (std::size_t i = 0; i < missing.size(); ++i) names += (i == 0 ? "" : ", ") + missing[i];
  throw DataError(what + ": " + std::to_string(count) + (count == 1 ? " file is" : " files are") +
                  " missing: " + names + (count > missing.size() ? ", ..." : ""));
}

void add_checked(std::vector<std::string>& list, std::string text, const std::string& pattern) {
  if (list.size() == kMostFiles) {
    throw DataError(pattern + ": names more than " + std::to_string(kMostFiles) + " files");
  }
  list.push_back(std::move(text));
}

// The brace that closes the one at `open`, npos if none does; `commas` at its level.
std::size_t closing_brace(const std::string& text, std::size_t open,
                          std::vector<std::size_t>& commas) {
  std::size_t depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == ',' && depth == 1) commas.push_back(i);
    if (text[i] == '}' && --depth == 0) return i;
  }
  return std::string::npos;
}

// What stands between braces: the parts between its commas, or a range of numbers.
std::vector<std::string> alternatives(const std::string& text, std::size_t open, std::size_t close,
                                      std::vector<std::size_t> commas, const std::string& pattern) {
  std::vector<std::string> parts;
  const std::string inner = text.substr(open + 1, close - open - 1);
  const std::size_t dots = inner.find("..");
  if (commas.empty() && dots != std::string::npos) {
    const std::string first = inner.substr(0, dots), last = inner.substr(dots + 2);
    if (!is_number(first) || !is_number(last) || number(first) > number(last)) {
      throw DataError(pattern + ": {" + inner +
                      "} is not a range of numbers, as {00000..01023} is");
    }
    for (std::uint64_t i = number(first); i <= number(last); ++i) {
      add_checked(parts, padded(i, first.size()), pattern);
    }
    return parts;
  }
  commas.push_back(close);
  for (std::size_t begin = open + 1; const std::size_t end : commas) {
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// Appends what `text` stands for, its leftmost brace first.
void expand_braces(const std::string& text, const std::string& pattern,
                   std::vector<std::string>& expanded) {
  const std::size_t open = text.find('{');
  std::vector<std::size_t> commas;
  const std::size_t close =
      open == std::string::npos ? std::string::npos : closing_brace(text, open, commas);
  if (open == std::string::npos) return add_checked(expanded, text, pattern);
  if (close == std::string::npos) throw DataError(pattern + ": a brace that is not closed");
  for (const std::string& part : alternatives(text, open, close, std::move(commas), pattern)) {
    expand_braces(text.substr(0, open) + part + text.substr(close + 1), pattern, expanded);
  }
}

bool has_wildcard(std::string_view text) { return text.find_first_of("*?[") != text.npos; }

// Files that match `pattern` from the component at `begin` on, below `directory` ("" or with a
// slash at its end).
void glob(FileSystem& files, const std::string& directory, const std::string& pattern,
          std::size_t begin, std::vector<std::string>& found) {
  const std::size_t end = std::min(pattern.find('/', begin), pattern.size());
  const std::string component = pattern.substr(begin, end - begin);
  const bool last = end == pattern.size();
  if (!has_wildcard(component)) {
    if (!last) return glob(files, directory + component + "/", pattern, end + 1, found);
    if (files.exists(directory + component)) found.push_back(directory + component);
    return;
  }
  if (!directory.empty() && !files.exists(directory)) return;
  for (const DirectoryEntry& entry : files.list(directory.empty() ? "." : directory)) {
    if (entry.is_directory == last ||
        ::fnmatch(component.c_str(), entry.name.c_str(), FNM_PERIOD) != 0 ||
        (last && entry.name.ends_with(".idx") && !component.ends_with(".idx"))) {
      continue;
    }
    if (last) {
      found.push_back(directory + entry.name);
    } else {
      glob(files, directory + entry.name + "/", pattern, end + 1, found);
    }
  }
}

// The files of NAME@*, whatever their totals.
std::vector<std::string> any_total(FileSystem& files, const std::string& name) {
  std::vector<std::string> found;
  glob(files, "", name + "-*-of-*", 0, found);
  std::erase_if(found, [](const std::string& path) {
    const auto numbered = parse_numbered(path);
    return !numbered || !numbered->extension.empty();
  });
  return found;
}

// Where "@N" or "@*" begins at the end of `text`.
std::size_t at_total(const std::string& text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string::npos || at == 0) return std::string::npos;
  const std::string_view total = std::string_view(text).substr(at + 1);
  return total == "*" || is_number(total) ? at : std::string::npos;
}

// One member of a pattern whose braces are gone. What is missing goes to `missing`.
void find_member(FileSystem& files, const std::string& member, const std::string& pattern,
                 std::vector<std::string>& found, std::vector<std::string>& missing) {
  if (files.exists(member)) return found.push_back(member);
  const std::size_t at = at_total(member);
  const std::size_t before = found.size();
  if (at != std::string::npos && member.back() != '*') {
    const std::uint64_t total = number(std::string_view(member).substr(at + 1));
    if (total == 0 || total > kMostFiles) throw DataError(pattern + ": not a number of files");
    for (std::uint64_t i = 0; i < total; ++i) {
      const std::string path = member.substr(0, at) + shard_suffix(i, total);
      (files.exists(path) ? found : missing).push_back(path);
    }
    return;
  }
  if (at != std::string::npos) {
    for (auto& path : any_total(files, member.substr(0, at))) found.push_back(std::move(path));
  } else if (has_wildcard(member)) {
    glob(files, "", member, 0, found);
    std::sort(found.begin() + static_cast<std::ptrdiff_t>(before), found.end());
  }
  if (found.size() == before) missing.push_back(member);
}

}  // namespace

std::vector<std::string> expand_pattern(FileSystem& files, const std::string& pattern) {
  if (pattern.empty()) throw DataError("an empty name of files");
  if (files.exists(pattern)) return {pattern};
  std::vector<std::string> members;
  expand_braces(pattern, pattern, members);
  std::vector<std::string> found, missing;
  for (const std::string& member : members) find_member(files, member, pattern, found, missing);
  if (found.empty()) {
    throw DataError(pattern +
                    (members.size() == 1 && has_wildcard(pattern)
                         ? ": no file matches"
                         : ": none of these files is there, the first being " + missing.front()));
  }
  if (!missing.empty()) {
    const std::uint64_t count = missing.size();
    missing.resize(std::min(missing.size(), kNamedMissing));
    fail_missing(pattern, missing, count);
  }
  std::set<std::string_view> seen;
  std::vector<std::string> once;
  for (const std::string& path : found) {
    if (seen.insert(path).second) once.push_back(path);
  }
  check_shard_sets(once);
  return once;
}

void check_shard_sets(std::span<const std::string> paths) {
  struct Set {
    std::string first;
    std::uint64_t total = 0;
    std::set<std::uint64_t> shards;
  };
  std::map<std::pair<std::string, std::string>, Set> sets;  // by stem and extension
  for (const std::string& path : paths) {
    const auto name = parse_numbered(path);
    if (!name) continue;
    Set& set = sets[{name->stem, name->extension}];
    if (set.shards.empty()) {
      set.first = path;
      set.total = name->total;
    }
    if (set.total != name->total) {
      throw DataError(path + ": one of " + std::to_string(name->total) + " files, but " +
                      set.first + " is one of " + std::to_string(set.total));
    }
    if (name->shard >= name->total) {
      throw DataError(path + ": its number is not one of " + std::to_string(name->total));
    }
    set.shards.insert(name->shard);
  }
  for (const auto& [name, set] : sets) {
    if (set.shards.size() == set.total) continue;
    std::vector<std::string> missing;
    for (std::uint64_t i = 0; i < set.total && missing.size() < kNamedMissing; ++i) {
      if (set.shards.contains(i)) continue;
      missing.push_back(name.first + shard_suffix(i, set.total) + name.second);
    }
    fail_missing(set.first + " and others", missing, set.total - set.shards.size());
  }
}

}  // namespace bit::storage
