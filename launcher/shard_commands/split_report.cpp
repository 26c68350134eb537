#include "launcher/shard_commands/split_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <utility>

#include "launcher/shard_commands/progress_line.h"
#include "storage/dataset_manifest.h"
#include "storage/record_index.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

constexpr std::array<std::uint64_t, 3> kBatches = {32, 256, 4096};
constexpr std::size_t kAllClasses = 40;  // shown one by one up to here,
constexpr std::size_t kLargest = 10;     // beyond it only these
constexpr std::size_t kSmallest = 5;
constexpr std::uint64_t kBarCells = 40;

std::string bar(std::uint64_t count, std::uint64_t most) {
  const std::uint64_t cells = count == 0 ? 0 : 1 + count * (kBarCells - 1) / most;
  return std::string(static_cast<std::size_t>(cells), '#');
}

void print_classes(const schemas::DatasetManifest& manifest,
                   const storage::DatasetStatistics& statistics,
                   std::span<const std::int32_t> classes) {
  const std::uint64_t most = std::max<std::uint64_t>(
      1,
      statistics.class_records.empty() ? 0 : *std::ranges::max_element(statistics.class_records));
  for (const std::int32_t label : classes) {
    const std::uint64_t count = statistics.class_records[static_cast<std::size_t>(label)];
    fmt::print("  {:>6} {:<24.24} {:>11} {:>5.1f}%  {}\n", label, class_name(manifest, label),
               grouped(count),
               100 * static_cast<double>(count) / static_cast<double>(statistics.records),
               bar(count, most));
  }
}

void print_histogram(const schemas::DatasetManifest& manifest,
                     const storage::DatasetStatistics& statistics) {
  const auto by_size = statistics.classes_by_size();
  if (by_size.empty()) return fmt::print("  no labels\n");
  const auto [least, most] = std::ranges::minmax(by_size);
  const std::uint64_t empty = statistics.empty_classes();
  fmt::print("  labels: {} to {} (0-based), {} classes seen{}\n", least, most,
             grouped(by_size.size()),
             empty == 0 ? "" : ", " + grouped(empty) + " classes without a record");
  if (statistics.class_records.size() <= kAllClasses) {
    std::vector<std::int32_t> all(statistics.class_records.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i);
    return print_classes(manifest, statistics, all);
  }
  const std::span classes(by_size);
  std::vector<std::string> quantiles;
  for (const auto& [name, records] : class_quantiles(statistics, by_size)) {
    quantiles.push_back(fmt::format("{} {}", name, grouped(records)));
  }
  fmt::print("  records of a class, the empty ones aside: {}\n", fmt::join(quantiles, ", "));
  if (classes.size() <= kLargest + kSmallest) return print_classes(manifest, statistics, classes);
  fmt::print("  the largest\n");
  print_classes(manifest, statistics, classes.first(kLargest));
  fmt::print("  the smallest\n");
  print_classes(manifest, statistics, classes.last(kSmallest));
}

void print_labels(const schemas::DatasetManifest& manifest,
                  const storage::DatasetStatistics& statistics) {
  const auto& counts = statistics.label_counts;
  if (counts.size() == 2 && counts[0] == 0) {
    fmt::print("  one label a record\n");
  } else {
    fmt::print("  labels a record: mean {:.2f}\n",
               static_cast<double>(statistics.labels()) / static_cast<double>(statistics.records));
    const std::uint64_t most = *std::ranges::max_element(counts);
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0) continue;
      fmt::print("  {:>11} {:>11}  {}\n", i == 0 ? "none" : std::to_string(i), grouped(counts[i]),
                 bar(counts[i], most));
    }
  }
  if (!statistics.class_records.empty()) print_histogram(manifest, statistics);
}

// Images by their short side, in classes of a factor of two.
void print_sizes(const storage::DatasetStatistics& statistics) {
  const auto& counts = statistics.short_sides;
  const std::uint64_t most = *std::ranges::max_element(counts);
  if (statistics.most_width != 0) {
    fmt::print("  images {} to {} pixels wide, {} to {} high\n", statistics.least_width,
               statistics.most_width, statistics.least_height, statistics.most_height);
  }
  fmt::print("  short side      images\n");
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    fmt::print("  {:>11} {:>11}  {}\n", side_range(i), grouped(counts[i]), bar(counts[i], most));
  }
}

void print_shuffle(const SplitReport& report) {
  fmt::print("  different classes in a batch of records that follow each other\n");
  fmt::print("  {:>11} {:>11} {:>11} {:>11}\n", "batch", "found", "least", "random");
  for (const auto& quality : report.qualities) {
    fmt::print("  {:>11} {:>11.1f} {:>11} {:>11.1f}\n", grouped(quality.batch), quality.found,
               quality.least, quality.expected);
  }
  fmt::print("  {}\n", verdict(report));
}

}  // namespace

SplitReport report_split(const std::string& directory, const schemas::DatasetManifest& manifest,
                         const schemas::DatasetManifest::Split& split,
                         std::optional<std::uint64_t> batch) {
  SplitReport report;
  report.split = split.name();
  report.shards = split.shards_size();
  for (const auto& shard : split.shards()) {
    report.bytes += shard.bytes();
    report.largest_shard = std::max<std::uint64_t>(report.largest_shard, shard.bytes());
  }
  const std::string path =
      directory + "/" + storage::index_file_name(manifest.name(), split.name());
  const auto index = storage::RecordIndex::open(path);
  if (!storage::is_index_of(index, split)) {
    throw storage::DataError(path + ": stale or of another dataset: it is not the index that " +
                             "dataset.json names; `bit-shard index` writes it anew");
  }
  try {
    report.statistics =
        storage::collect_statistics(index, static_cast<std::uint32_t>(manifest.class_names_size()));
  } catch (const storage::DataError& error) {
    const std::string message = error.what();
    throw storage::DataError(message.starts_with(path) ? message : path + ": " + message);
  }
  const auto add = [&](std::uint64_t records) {
    report.qualities.push_back(storage::shuffle_quality(index, report.statistics, records));
  };
  if (index.records() == 0) return report;
  if (batch) {
    add(*batch);
  } else {
    for (const std::uint64_t usual : kBatches) {
      if (usual == kBatches.front() || 2 * usual <= index.records()) add(usual);
    }
  }
  return report;
}

std::string class_name(const schemas::DatasetManifest& manifest, std::int32_t label) {
  return label < manifest.class_names_size() ? manifest.class_names(label)
                                             : fmt::format("class {}", label);
}

std::string side_range(std::size_t bin) {
  return bin == 0 ? "unknown" : fmt::format("{}-{}", 1u << (bin - 1), (1u << bin) - 1);
}

std::string verdict(const SplitReport& report) {
  auto worst = storage::Mixing::kUnknown;
  std::uint64_t batch = 0;
  for (const auto& quality : report.qualities) {
    const auto mixing = storage::judge(report.statistics, quality);
    if (mixing > worst) {
      worst = mixing;
      batch = quality.batch;
    }
  }
  switch (worst) {
    case storage::Mixing::kUnknown:
      return "too few records or classes to tell how well they are mixed";
    case storage::Mixing::kMixed:
      return "well mixed: as a random order would be";
    case storage::Mixing::kPartly:
      return fmt::format(
          "partly mixed: batches of {} lack classes that a random order would show; bit-shard "
          "convert shuffles",
          grouped(batch));
    case storage::Mixing::kSorted:
      break;
  }
  return fmt::format(
      "sorted: batches of {} hold few of the classes; shuffle with bit-shard convert before "
      "training",
      grouped(batch));
}

std::vector<Quantile> class_quantiles(const storage::DatasetStatistics& statistics,
                                      const std::vector<std::int32_t>& by_size) {
  std::vector<Quantile> quantiles;
  if (by_size.empty()) return quantiles;
  constexpr std::array<std::pair<const char*, double>, 7> kShares = {{{"least", 0},
                                                                      {"5%", 0.05},
                                                                      {"25%", 0.25},
                                                                      {"median", 0.5},
                                                                      {"75%", 0.75},
                                                                      {"95%", 0.95},
                                                                      {"most", 1}}};
  for (const auto& [name, share] : kShares) {
    const double last = static_cast<double>(by_size.size() - 1);
    const auto at = static_cast<std::size_t>(std::lround((1 - share) * last));
    quantiles.push_back({name, statistics.class_records[static_cast<std::size_t>(by_size[at])]});
  }
  return quantiles;
}

void print_split(const schemas::DatasetManifest& manifest, const SplitReport& report) {
  const auto& statistics = report.statistics;
  fmt::print("\nsplit {}: {} records in {} shard{}, {} (largest shard {})\n", report.split,
             grouped(statistics.records), report.shards, report.shards == 1 ? "" : "s",
             human_bytes(report.bytes), human_bytes(report.largest_shard));
  if (statistics.records == 0) return;
  fmt::print("  record bytes: {} to {}, mean {}\n", grouped(statistics.least_bytes),
             grouped(statistics.most_bytes), grouped(statistics.bytes / statistics.records));
  print_labels(manifest, statistics);
  print_sizes(statistics);
  print_shuffle(report);
}

}  // namespace bit::launcher
