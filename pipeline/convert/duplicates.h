// Records of a split that hold the same as one before them, told by hashes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bit::pipeline {

struct RecordPlace {
  std::uint32_t shard = 0;   // of the split
  std::uint32_t record = 0;  // of the shard
  auto operator<=>(const RecordPlace&) const = default;
};

struct Sighting {
  std::uint64_t hash = 0;  // of what is compared
  RecordPlace place;
  auto operator<=>(const Sighting&) const = default;
};

struct Duplicates {
  struct Pair {
    RecordPlace first, again;
    bool operator==(const Pair&) const = default;
  };
  std::uint64_t records = 0;  // that repeat one before them
  std::vector<Pair> pairs;    // the first of them, by `again`; at most kShownDuplicates
};
inline constexpr std::size_t kShownDuplicates = 5;

// Sorts `sightings`, one of each record. Hashes of 64 bits: among 300 million different records two
// are taken for the same once in 400 datasets.
Duplicates find_duplicates(std::span<Sighting> sightings);

}  // namespace bit::pipeline
