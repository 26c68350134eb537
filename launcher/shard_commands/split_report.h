// What `bit-shard inspect` tells about a split, collected once and said in text or HTML.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schemas/dataset.pb.h"
#include "storage/dataset_statistics.h"

namespace bit::launcher {

struct SplitReport {
  std::string split;
  int shards = 0;
  std::uint64_t bytes = 0, largest_shard = 0;
  storage::DatasetStatistics statistics;
  std::vector<storage::ShuffleQuality> qualities;  // by batch; none without records
};

// Reads the index of `split`, an entry of `manifest`, the dataset.json of `directory`. `batch`:
// records of a batch for the shuffle quality; none: some that are usual. Throws
// storage::StorageError, storage::DataError.
SplitReport report_split(const std::string& directory, const schemas::DatasetManifest& manifest,
                         const schemas::DatasetManifest::Split& split,
                         std::optional<std::uint64_t> batch);

// The name of a class, "class 17" when the dataset has none for it.
std::string class_name(const schemas::DatasetManifest& manifest, std::int32_t label);
// "128-255": what is counted at `bin` of DatasetStatistics::short_sides.
std::string side_range(std::size_t bin);
// What the worst of the report's batches says about the order of the records: a sentence.
std::string verdict(const SplitReport& report);

// Records of a class at a share (0: the smallest, 1: the largest) of `by_size`, classes with the
// most records first.
struct Quantile {
  const char* name;
  std::uint64_t records;
};
std::vector<Quantile> class_quantiles(const storage::DatasetStatistics& statistics,
                                      const std::vector<std::int32_t>& by_size);

// On standard output.
void print_split(const schemas::DatasetManifest& manifest, const SplitReport& report);

}  // namespace bit::launcher
