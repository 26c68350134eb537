// bit-shard index: TFRecord files from elsewhere become a dataset where they lie. Their names say
// dataset and split: NAME-SPLIT.tfrecord-00000-of-00016 (ours, TensorFlow Datasets) or
// SPLIT-00000-of-01024 (tensorflow/models); otherwise the command line does.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "launcher/shard_commands/commands.h"
#include "launcher/shard_commands/progress_line.h"
#include "launcher/words.h"
#include "storage/dataset_manifest.h"
#include "storage/file_patterns.h"
#include "storage/index_shards.h"
#include "storage/lock_file.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

// What a shard's file name says; empty or 0 where it says nothing.
struct ShardName {
  std::string file;
  std::string name;
  std::string split;
  std::uint32_t shards = 0;
};

std::optional<ShardName> read_name(const std::string& file) {
  static const std::regex kNamed(R"((.+)-([^-]+)\.tfrecord-\d{5}-of-(\d{5}))");
  static const std::regex kSplit(R"(([^-.]+)-\d{5}-of-(\d{5}))");
  static const std::regex kPlain(R"(.+\.(tfrecord|tfrecords|tfrec|record))");
  std::smatch match;
  const auto count = [&](std::size_t group) {
    return static_cast<std::uint32_t>(std::stoul(match[group]));
  };
  if (std::regex_match(file, match, kNamed)) return ShardName{file, match[1], match[2], count(3)};
  if (std::regex_match(file, match, kSplit)) return ShardName{file, "", match[1], count(2)};
  if (std::regex_match(file, kPlain)) return ShardName{file, "", "", 0};
  return std::nullopt;
}

struct FoundShards {
  std::string directory;
  std::vector<ShardName> shards;  // in byte order of their names
};

FoundShards find_in_directory(const std::string& directory) {
  FoundShards found{directory, {}};
  for (const auto& entry : storage::posix_file_system().list(directory)) {
    if (entry.is_directory || entry.name.front() == '.') continue;
    if (const auto shard = read_name(entry.name)) found.shards.push_back(*shard);
  }
  return found;
}

FoundShards find_by_pattern(const std::string& pattern) {
  FoundShards found;
  for (const std::string& match : storage::expand_pattern(storage::posix_file_system(), pattern)) {
    const std::filesystem::path path(match);
    const std::string parent = path.has_parent_path() ? path.parent_path().string() : ".";
    if (found.directory.empty()) found.directory = parent;
    if (found.directory != parent) {
      throw std::invalid_argument(pattern + ": a dataset lies in one directory, these in " +
                                  found.directory + " and " + parent);
    }
    const std::string file = path.filename().string();
    found.shards.push_back(read_name(file).value_or(ShardName{file, "", "", 0}));
  }
  return found;
}

std::vector<std::string> split_names(const FoundShards& found) {
  std::set<std::string> names;
  for (const ShardName& shard : found.shards) names.insert(shard.split);
  return {names.begin(), names.end()};
}

// The shards of each split. --split names what has no name of its own and selects among the others.
std::map<std::string, std::vector<ShardName>> by_split(const FoundShards& found,
                                                       const IndexCommand& command) {
  std::map<std::string, std::vector<ShardName>> splits;
  for (const ShardName& shard : found.shards) {
    const std::string split = shard.split.empty() ? command.split : shard.split;
    if (split.empty()) {
      throw std::invalid_argument(found.directory + "/" + shard.file +
                                  ": the name does not say which split it is: give --split");
    }
    if (command.split.empty() || command.split == split) splits[split].push_back(shard);
  }
  if (splits.empty()) {
    throw std::invalid_argument(
        command.files +
        (found.shards.empty()
             ? ": no file with a name of a shard: NAME-SPLIT.tfrecord-00000-of-00016, "
               "SPLIT-00000-of-00016 or, with --split, *.tfrecord, *.tfrecords, *.tfrec, *.record "
               "(a quoted pattern takes any name)"
             : ": no shard of the split '" + command.split + "'; " +
                   known_names(command.split, split_names(found))));
  }
  return splits;
}

// File names of a split; all of them are there.
std::vector<std::string> complete_set(const std::string& directory, const std::string& split,
                                      const std::vector<ShardName>& shards) {
  std::vector<std::string> files;
  for (const ShardName& shard : shards) {
    if (shard.shards != shards.front().shards || shard.name != shards.front().name) {
      throw storage::DataError(directory + ": two shard sets of split `" + split +
                               "`: " + shards.front().file + " and " + shard.file);
    }
    files.push_back(shard.file);
  }
  std::vector<std::string> paths;
  for (const std::string& file : files) paths.push_back(directory + "/" + file);
  storage::check_shard_sets(paths);
  return files;
}

schemas::DatasetManifest manifest_before(const FoundShards& found, const IndexCommand& command) {
  auto& files = storage::posix_file_system();
  schemas::DatasetManifest manifest;
  if (files.exists(found.directory + "/dataset.json")) {
    manifest = storage::read_manifest(files, found.directory);
    if (!command.name.empty() && command.name != manifest.name()) {
      throw std::invalid_argument(found.directory + "/dataset.json is of the dataset `" +
                                  manifest.name() + "`, not `" + command.name + "`");
    }
  } else {
    std::string name = command.name.empty() ? found.shards.front().name : command.name;
    if (name.empty()) name = std::filesystem::canonical(found.directory).filename().string();
    manifest.set_name(name);
  }
  if (!command.classes.empty()) {
    manifest.clear_class_names();
    std::istringstream lines(storage::read_file(files, command.classes));
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (!line.empty()) manifest.add_class_names(line);
    }
  }
  return manifest;
}

void check_classes(const schemas::DatasetManifest& manifest, const std::string& split,
                   const storage::LabelStatistics& labels) {
  if (manifest.class_names_size() > 0 && labels.max >= manifest.class_names_size()) {
    throw storage::DataError(fmt::format(
        "split `{}`: labels reach {} (0-based), but there are {} class names; --classes FILE "
        "gives the right ones",
        split, labels.max, manifest.class_names_size()));
  }
}

void index_split(const std::string& directory, const std::string& split,
                 const std::vector<ShardName>& shards, schemas::DatasetManifest& manifest) {
  auto& files = storage::posix_file_system();
  const auto names = complete_set(directory, split, shards);
  storage::IndexSummary summary;
  {
    ProgressLine line("bytes of " + split, "B");  // its rate is in bytes already
    summary = storage::index_shards(
        files, directory, split, names, {},
        [&](std::uint64_t done, std::uint64_t total) { line.update(done, total, 0); });
  }
  check_classes(manifest, split, summary.labels);
  if (const auto* before = storage::find_split(manifest, split); before && before->has_seed()) {
    summary.split.set_seed(before->seed());
  }
  summary.split.set_index_hash(summary.index.write(
      files, directory + "/" + storage::index_file_name(manifest.name(), split)));
  storage::replace_split(manifest, summary.split);
  storage::write_manifest(files, directory, manifest);
  fmt::print("{}: {} records, {}, in {} shard{}\n", split, grouped(summary.split.records()),
             human_bytes(summary.bytes), names.size(), names.size() == 1 ? "" : "s");
  fmt::print("  labels: {} to {} (0-based), {} classes seen, {} records without a label\n",
             summary.labels.min, summary.labels.max, grouped(summary.labels.seen),
             grouped(summary.unlabelled));
}

}  // namespace

ExitCode run_index(const IndexCommand& command) {
  const bool directory = std::filesystem::is_directory(command.files);
  const FoundShards found =
      directory ? find_in_directory(command.files) : find_by_pattern(command.files);
  const auto splits = by_split(found, command);
  const storage::LockFile lock(found.directory + kDatasetLock);
  auto manifest = manifest_before(found, command);
  for (const auto& [split, shards] : splits) {
    index_split(found.directory, split, shards, manifest);
  }
  fmt::print("{}/dataset.json: dataset {}, {} class names\n", found.directory, manifest.name(),
             manifest.class_names_size());
  return kDone;
}

}  // namespace bit::launcher
