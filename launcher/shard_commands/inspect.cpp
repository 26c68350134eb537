// bit-shard inspect: what is in a dataset, or what one record holds.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "launcher/find_split.h"
#include "launcher/shard_commands/commands.h"
#include "launcher/shard_commands/progress_line.h"
#include "schemas/example.pb.h"
#include "storage/dataset.h"
#include "storage/dataset_manifest.h"
#include "storage/example.h"
#include "storage/record_index.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

using Split = schemas::DatasetManifest::Split;

void print_classes(const schemas::DatasetManifest& manifest) {
  if (manifest.class_names_size() == 0) {
    fmt::print("no class names (`bit-shard index --classes FILE` adds them)\n");
    return;
  }
  fmt::print("{} classes", manifest.class_names_size());
  constexpr int kShown = 20;
  for (int i = 0; i < std::min(manifest.class_names_size(), kShown); ++i) {
    fmt::print("{}{} {}", i == 0 ? ": " : ", ", i, manifest.class_names(i));
  }
  fmt::print("{}\n", manifest.class_names_size() > kShown ? ", ..." : "");
}

// Images by their short side, in classes of a factor of two.
void print_sizes(const storage::RecordIndex& index) {
  std::array<std::uint64_t, 18> counts{};  // [i]: 2^(i-1) <= side < 2^i; [0]: unknown
  for (std::uint64_t i = 0; i < index.records(); ++i) {
    const auto side = std::min(index.width(i), index.height(i));
    ++counts[static_cast<std::size_t>(std::bit_width(side))];
  }
  const std::uint64_t most = std::max<std::uint64_t>(1, *std::ranges::max_element(counts));
  fmt::print("  short side     images\n");
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    const std::string range =
        i == 0 ? "unknown" : fmt::format("{}-{}", 1u << (i - 1), (1u << i) - 1);
    fmt::print("  {:>11} {:>9}  {}\n", range, grouped(counts[i]),
               std::string(static_cast<std::size_t>(1 + counts[i] * 39 / most), '#'));
  }
}

void print_split(const InspectCommand& command, const schemas::DatasetManifest& manifest,
                 const Split& split) {
  std::uint64_t bytes = 0, largest = 0;
  for (const auto& shard : split.shards()) {
    bytes += shard.bytes();
    largest = std::max<std::uint64_t>(largest, shard.bytes());
  }
  fmt::print("\nsplit {}: {} records in {} shard{}, {} (largest shard {})\n", split.name(),
             grouped(split.records()), split.shards_size(), split.shards_size() == 1 ? "" : "s",
             human_bytes(bytes), human_bytes(largest));
  const auto index = storage::RecordIndex::open(
      command.directory + "/" + storage::index_file_name(manifest.name(), split.name()));
  std::uint64_t least = UINT64_MAX, most = 0;
  for (std::uint64_t i = 0; i < index.records(); ++i) {
    least = std::min(least, index.bytes(i));
    most = std::max(most, index.bytes(i));
  }
  if (index.records() == 0) return;
  fmt::print("  record bytes: {} to {}, mean {}\n", grouped(least), grouped(most),
             grouped(bytes / index.records()));
  fmt::print("  labels: {} to {} (0-based), {} classes seen\n", index.label_min(),
             index.label_max(), index.classes_seen());
  print_sizes(index);
}

std::string describe_feature(const schemas::Feature& feature) {
  constexpr std::size_t kShown = 60;
  if (feature.has_bytes_list()) {
    const auto& values = feature.bytes_list().value();
    if (values.size() != 1) return fmt::format("{} byte strings", values.size());
    const std::string& value = values[0];
    const bool printable = value.size() <= kShown && std::ranges::all_of(value, [](char c) {
                             return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F;
                           });
    return printable ? "\"" + value + "\"" : fmt::format("{} bytes", grouped(value.size()));
  }
  if (feature.has_int64_list()) {
    return fmt::format("[{}]", fmt::join(feature.int64_list().value(), ", "));
  }
  return fmt::format("[{}]", fmt::join(feature.float_list().value(), ", "));
}

std::vector<std::byte> read_record(const storage::Dataset& dataset, std::uint64_t record) {
  const auto location = dataset.location(record);
  const auto& file = dataset.shard_file(location.shard);
  std::vector<std::byte> framed(location.bytes);
  framed.resize(file.read_at(location.offset, framed));
  const auto parsed = storage::parse_record(framed);
  if (parsed.fault) {
    throw storage::DataError(fmt::format("{}: record {} of the split at byte {}: {}", file.path(),
                                         record, location.offset,
                                         storage::describe(*parsed.fault)));
  }
  return {parsed.data.begin(), parsed.data.end()};
}

void print_record(const InspectCommand& command, const std::string& split) {
  const auto dataset = open_split(command.directory, split);
  const std::uint64_t record = *command.record;
  if (record >= dataset.records()) {
    throw std::invalid_argument(fmt::format("--record {}: split `{}` has {} records, from 0",
                                            record, split, dataset.records()));
  }
  const auto data = read_record(dataset, record);
  const auto image = storage::parse_image_example(data);
  const auto location = dataset.location(record);
  fmt::print("record {} of {}: {} at byte {}, {} bytes\n", record, split,
             dataset.shards()[location.shard], location.offset, grouped(location.bytes));
  for (const auto label : image.labels) {
    const auto at = static_cast<std::size_t>(label);
    fmt::print("  label {} (0-based){}\n", label,
               at < dataset.class_names().size() ? ": " + dataset.class_names()[at] : "");
  }
  schemas::Example example;
  example.ParseFromArray(data.data(), static_cast<int>(data.size()));
  std::vector<std::string> lines;
  for (const auto& [key, feature] : example.features().feature()) {
    lines.push_back(fmt::format("  {:<20} {}\n", key, describe_feature(feature)));
  }
  std::ranges::sort(lines);
  fmt::print("{}", fmt::join(lines, ""));
  if (command.output.empty()) return;
  storage::write_file_atomically(
      storage::posix_file_system(), command.output,
      {reinterpret_cast<const char*>(image.encoded.data()), image.encoded.size()});
  fmt::print("its image is in {}\n", command.output);
}

}  // namespace

ExitCode run_inspect(const InspectCommand& command) {
  const auto manifest = find_dataset(command.directory);
  if (!command.split.empty()) find_split(command.directory, manifest, command.split);
  if (command.record) {
    if (command.split.empty() && manifest.splits_size() != 1) {
      throw std::invalid_argument("--record counts in a split: give --split");
    }
    print_record(command, command.split.empty() ? manifest.splits(0).name() : command.split);
    return kDone;
  }
  fmt::print("dataset {} in {}\n", manifest.name(), command.directory);
  print_classes(manifest);
  for (const auto& split : manifest.splits()) {
    if (command.split.empty() || command.split == split.name()) {
      find_split(command.directory, manifest, split.name());  // with its index
      print_split(command, manifest, split);
    }
  }
  return kDone;
}

}  // namespace bit::launcher
