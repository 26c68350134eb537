// bit-shard inspect: what is in a dataset, or what one record holds.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "launcher/find_split.h"
#include "launcher/shard_commands/commands.h"
#include "launcher/shard_commands/contact_sheet.h"
#include "launcher/shard_commands/inspect_page.h"
#include "launcher/shard_commands/progress_line.h"
#include "launcher/shard_commands/split_report.h"
#include "schemas/example.pb.h"
#include "storage/dataset.h"
#include "storage/dataset_manifest.h"
#include "storage/example.h"

namespace bit::launcher {
namespace {

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
  std::vector<PageSplit> page;
  for (const auto& split : manifest.splits()) {
    if (!command.split.empty() && command.split != split.name()) continue;
    find_split(command.directory, manifest, split.name());  // with its index
    auto report = report_split(command.directory, manifest, split, command.batch);
    print_split(manifest, report);
    if (command.html.empty()) continue;
    std::fflush(stdout);
    page.push_back({std::move(report),
                    contact_sheet(open_split(command.directory, split.name()), command.sheet)});
  }
  if (command.html.empty()) return kDone;
  storage::write_file_atomically(storage::posix_file_system(), command.html,
                                 inspect_page(manifest, page));
  fmt::print("\nthe page is in {}\n", command.html);
  return kDone;
}

}  // namespace bit::launcher
