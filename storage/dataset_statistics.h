// What the index of a split says about it as a whole: how often each class occurs, how large the
// images are, and how well the order of the records mixes the classes. One pass over the index
// each; memory grows with the classes, not with the records.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "storage/record_index.h"

namespace bit::storage {

struct DatasetStatistics {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;                        // of all records, framing included
  std::uint64_t least_bytes = 0, most_bytes = 0;  // of one record; 0 without records
  std::vector<std::uint64_t> class_records;       // [classes] records with this label
  // [i]: records with i different labels; as long as the most that one has
  std::vector<std::uint64_t> label_counts;
  // [i]: images with 2^(i-1) <= short side < 2^i pixels; [0]: size unknown
  std::array<std::uint64_t, 17> short_sides{};
  // Pixels, of the images whose size is known; 0 without any.
  std::uint32_t least_width = 0, most_width = 0, least_height = 0, most_height = 0;

  std::uint64_t labels() const;         // of all records
  std::uint64_t empty_classes() const;  // without a record
  // The classes that have records, those with the most first; equal ones by number.
  std::vector<std::int32_t> classes_by_size() const;
};

// `classes`: of the dataset, as its class names say; 0 when it has none: then those up to the
// largest label. A label beyond them adds a class. Throws DataError for a damaged index and for
// labels beyond 2^24.
DatasetStatistics collect_statistics(const RecordIndex& index, std::uint32_t classes);

// Different classes among `batch` records that follow each other, over the batches that fill the
// split from its start (the rest is left out).
struct ShuffleQuality {
  std::uint64_t batch = 0;    // records; all of the split when it has fewer
  std::uint64_t batches = 0;  // 0: no records
  double found = 0;           // mean over the batches
  std::uint64_t least = 0;    // in one batch
  double expected = 0;        // mean for a random order of the same records
  double deviation = 0;       // bound of the standard deviation of `found` for a random order
};

// `statistics` are those of `index`. `batch` > 0. A batch drawn without replacement lacks a class
// of n among R records with probability C(R-n, N) / C(R, N) (hypergeometric), so that
// expected = sum over classes of 1 - C(R-n, N) / C(R, N).
ShuffleQuality shuffle_quality(const RecordIndex& index, const DatasetStatistics& statistics,
                               std::uint64_t batch);

enum class Mixing {  // from good to bad, behind not knowing
  kUnknown,          // one class or one batch holds everything: any order is as good
  kMixed,            // as a random order would
  kPartly,
  kSorted,  // less than half of the classes that a random order would show
};
Mixing judge(const DatasetStatistics& statistics, const ShuffleQuality& quality);

}  // namespace bit::storage
