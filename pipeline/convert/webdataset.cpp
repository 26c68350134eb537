#include "pipeline/convert/webdataset.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "pipeline/convert/list_containers.h"
#include "pipeline/convert/member_names.h"
#include "storage/gzip.h"
#include "storage/tar.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

using Json = nlohmann::json;
using storage::DataError;
using storage::TarMember;
using storage::TarReader;
using Labels = std::vector<std::string>;

constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 20;
constexpr int kPeekedMembers = 64;
constexpr std::string_view kSpace = " \t\r\n";

// What a member's name says.
struct Part {
  std::string_view key;   // up to the first dot of the base name
  std::string extension;  // behind the last one, in lower case
  bool plain = true;      // there is one dot only
};

// nullopt for members that belong to no sample.
std::optional<Part> part_of(const TarMember& member) {
  if (member.type == storage::TarType::kDirectory) return std::nullopt;
  const std::string_view name = clean_name(member.name);
  const std::string_view base = base_name(name);
  const std::size_t dot = base.find('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  if (base.starts_with("__") && base.substr(0, dot).ends_with("__")) return std::nullopt;
  Part part;
  part.key = name.substr(0, name.size() - base.size() + dot);
  part.extension = extension_of(base);
  part.plain = base.rfind('.') == dot;
  return part;
}

bool is_whole_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Numbers between spaces or commas, or all of it as one name.
Labels labels_in_text(std::string_view text) {
  constexpr std::string_view kBetween = " \t\r\n,";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  text = text.substr(0, text.find_last_not_of(kSpace) + 1);
  Labels labels;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view word = rest.substr(0, rest.find_first_of(kBetween));
    rest.remove_prefix(word.size());
    rest.remove_prefix(std::min(rest.find_first_not_of(kBetween), rest.size()));
    if (!is_whole_number(word)) return {std::string(text)};
    labels.emplace_back(word);
  }
  return labels;
}

std::string label_in_value(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_unsigned()) return std::to_string(value.get<std::uint64_t>());
  if (value.is_number_integer()) return std::to_string(value.get<std::int64_t>());
  throw DataError("a label in its .json is neither a whole number nor text");
}

// Throws DataError with the reason alone.
Labels labels_in_json(std::string_view text, const std::string& field) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw DataError("its .json is not a JSON object");
  const Json* value = nullptr;
  for (const char* name : {"label", "labels", "cls", "class"}) {
    const auto found = json.find(field.empty() ? name : field);
    if (found != json.end() && value == nullptr) value = &*found;
  }
  if (value == nullptr || value->is_null()) return {};
  if (!value->is_array()) return {label_in_value(*value)};
  Labels labels;
  for (const Json& one : *value) labels.push_back(label_in_value(one));
  return labels;
}

// Gathers the members of one sample after the other.
class Samples {
 public:
  Samples(ContainerWalk& walk, const WebDatasetOptions& options) : walk_(walk), options_(options) {}

  void take(const TarMember& member) {
    const auto part = part_of(member);
    if (!part) return;
    if (!open_ || part->key != image_.key) {
      finish();
      open_ = true;
      image_.key = part->key;
    }
    try {
      if (is_image_name(member.name)) {
        take_image(member, *part);
      } else if (const int rank = label_rank(part->extension); rank > label_rank_) {
        Labels labels = read_labels(member, *part);
        if (labels.empty()) return;
        image_.labels = std::move(labels);
        label_rank_ = rank;
      }
    } catch (const DataError& error) {
      if (reason_.empty()) reason_ = error.what();
    }
  }

  // The sample is complete.
  void finish() {
    if (!open_) return;
    if (reason_.empty() && image_rank_ == 0) reason_ = "a sample without an image";
    if (reason_.empty() && !second_image_.empty()) {
      reason_ = "a sample with another image: " + second_image_;
    }
    if (reason_.empty() && label_rank_ == 0) reason_ = "a sample without a label";
    if (reason_.empty()) {
      walk_.add(std::move(image_));
    } else {
      walk_.add_problem(image_.name.empty() ? image_.key : image_.name, std::move(reason_));
    }
    image_ = {};
    reason_.clear();
    second_image_.clear();
    image_rank_ = label_rank_ = 0;
    open_ = false;
  }

 private:
  // 0: not a label. Of several members the highest counts.
  int label_rank(std::string_view extension) const {
    if (extension == "json") return options_.json_label.empty() ? 2 : 4;
    if (extension == "cls") return 3;
    return extension == "txt" && options_.text_labels ? 1 : 0;
  }
  void take_image(const TarMember& member, const Part& part) {
    if (const auto reason = why_no_image(member)) throw DataError(*reason);
    const int rank = part.plain ? 2 : 1;
    if (rank < image_rank_) return;
    if (rank == image_rank_) {
      second_image_ = clean_name(member.name);
      return;
    }
    second_image_.clear();
    image_rank_ = rank;
    image_.name = clean_name(member.name);
    image_.bytes = member.bytes;
    image_.offset = walk_.keep(member.offset, member.bytes);
  }
  Labels read_labels(const TarMember& member, const Part& part) const {
    if (member.type != storage::TarType::kFile || member.bytes > kMaxTextBytes) {
      throw DataError("its ." + part.extension + " is not a file of at most 1 MiB");
    }
    std::string text(member.bytes, '\0');
    if (walk_.file().read_at(member.offset, std::as_writable_bytes(std::span(text))) <
        text.size()) {
      throw DataError("the tar ends inside its ." + part.extension);
    }
    return part.extension == "json" ? labels_in_json(text, options_.json_label)
                                    : labels_in_text(text);
  }

  ContainerWalk& walk_;
  const WebDatasetOptions& options_;
  bool open_ = false;
  FoundImage image_;
  int image_rank_ = 0, label_rank_ = 0;
  std::string second_image_;  // of the same rank
  std::string reason_;        // why the sample cannot be used
};

}  // namespace

WebDataset::WebDataset(storage::FileSystem& files, WebDatasetOptions options)
    : files_(files), options_(std::move(options)) {}

void WebDataset::list(ListingWriter& listing) {
  std::vector<ContainerPart> parts;
  for (const std::string& path : options_.paths) parts.push_back({path, 0, kWholeFile, ""});
  list_containers(files_, listing, parts, options_.threads, options_.label_first,
                  [&](ContainerWalk& walk) {
                    Samples samples(walk, options_);
                    TarReader reader(walk.file());
                    while (const auto member = reader.next()) samples.take(*member);
                    samples.finish();
                  });
}

bool looks_like_webdataset(storage::FileSystem& files, const std::string& path) {
  try {
    const auto file = storage::open_plain_or_gzip(files, path);
    TarReader reader(*file);
    std::string key;
    bool image = false;
    bool label = false;
    for (int i = 0; i < kPeekedMembers; ++i) {
      const auto member = reader.next();
      if (!member) return false;
      const auto part = part_of(*member);
      if (!part) continue;
      if (part->key != key) image = label = false;
      key = part->key;
      image |= is_image_name(member->name);
      label |= part->extension == "cls" || part->extension == "json";
      if (image && label) return true;
    }
  } catch (const DataError&) {  // told when it is read
  }
  return false;
}

}  // namespace bit::pipeline
