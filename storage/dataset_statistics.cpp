#include "storage/dataset_statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

constexpr std::uint32_t kMaxClasses = std::uint32_t{1} << 24;
constexpr double kTolerated = 0.02;    // share of the expected classes that may be missing,
constexpr double kToleratedSigma = 4;  // and standard deviations
constexpr double kSortedShare = 0.5;

// Different labels of one record at a time: `seen` holds for each class who saw it last.
class Sightings {
 public:
  explicit Sightings(std::size_t classes) : seen_(classes, 0) {}
  // True when `label` is new since the last call of begin().
  bool add(std::int32_t label) {
    return std::exchange(seen_[static_cast<std::size_t>(label)], now_) != now_;
  }
  void begin() { ++now_; }

 private:
  std::vector<std::uint64_t> seen_;
  std::uint64_t now_ = 0;
};

template <typename Number>
void widen(Number value, Number& least, Number& most, bool first) {
  least = first ? value : std::min(least, value);
  most = first ? value : std::max(most, value);
}

// 1 - C(R-n, N) / C(R, N). The quotient is the product over i < n of 1 - N / (R - i), and the same
// with n and N exchanged: the shorter one, in logarithms, keeps every digit that R >> n, N leaves.
double probability_seen(std::uint64_t records, std::uint64_t of_class, std::uint64_t batch) {
  if (of_class + batch > records) return of_class == 0 ? 0 : 1;
  const std::uint64_t factors = std::min(of_class, batch);
  const auto other = static_cast<double>(std::max(of_class, batch));
  double log_unseen = 0;
  for (std::uint64_t i = 0; i < factors; ++i) {
    log_unseen += std::log1p(-other / static_cast<double>(records - i));
  }
  return -std::expm1(log_unseen);
}

}  // namespace

std::uint64_t DatasetStatistics::labels() const {
  return std::accumulate(class_records.begin(), class_records.end(), std::uint64_t{0});
}

std::uint64_t DatasetStatistics::empty_classes() const {
  return static_cast<std::uint64_t>(std::ranges::count(class_records, std::uint64_t{0}));
}

std::vector<std::int32_t> DatasetStatistics::classes_by_size() const {
  std::vector<std::int32_t> classes;
  for (std::size_t i = 0; i < class_records.size(); ++i) {
    if (class_records[i] != 0) classes.push_back(static_cast<std::int32_t>(i));
  }
  std::ranges::stable_sort(classes, std::greater<>(), [&](std::int32_t label) {
    return class_records[static_cast<std::size_t>(label)];
  });
  return classes;
}

DatasetStatistics collect_statistics(const RecordIndex& index, std::uint32_t classes) {
  DatasetStatistics statistics;
  statistics.records = index.records();
  if (index.label_max() >= 0) {
    classes = std::max(classes, static_cast<std::uint32_t>(index.label_max()) + 1);
  }
  if (classes > kMaxClasses) {
    throw DataError("labels reach " + std::to_string(index.label_max()) +
                    ": beyond what statistics are made of");
  }
  statistics.class_records.resize(classes);
  Sightings in_record(classes);
  bool first_size = true;
  for (std::uint64_t i = 0; i < index.records(); ++i) {
    const std::uint64_t bytes = index.bytes(i);
    statistics.bytes += bytes;
    widen(bytes, statistics.least_bytes, statistics.most_bytes, i == 0);

    in_record.begin();
    std::size_t labels = 0;
    for (const std::int32_t label : index.labels(i)) {
      if (label < 0 || static_cast<std::uint32_t>(label) >= classes) {
        throw DataError("damaged: label " + std::to_string(label) + " of record " +
                        std::to_string(i) + " is beyond its largest");
      }
      if (!in_record.add(label)) continue;
      ++labels;
      ++statistics.class_records[static_cast<std::size_t>(label)];
    }
    if (statistics.label_counts.size() <= labels) statistics.label_counts.resize(labels + 1);
    ++statistics.label_counts[labels];

    const std::uint32_t width = index.width(i), height = index.height(i);
    const std::uint32_t side = std::min(width, height);
    ++statistics.short_sides[static_cast<std::size_t>(std::bit_width(side))];
    if (side == 0) continue;
    widen(width, statistics.least_width, statistics.most_width, first_size);
    widen(height, statistics.least_height, statistics.most_height, first_size);
    first_size = false;
  }
  return statistics;
}

ShuffleQuality shuffle_quality(const RecordIndex& index, const DatasetStatistics& statistics,
                               std::uint64_t batch) {
  if (batch == 0) throw std::invalid_argument("shuffle_quality: batches of no records");
  ShuffleQuality quality;
  quality.batch = std::min(batch, index.records());
  if (index.records() == 0) return quality;
  quality.batches = index.records() / quality.batch;
  quality.least = std::numeric_limits<std::uint64_t>::max();
  Sightings in_batch(statistics.class_records.size());
  std::uint64_t total = 0;
  for (std::uint64_t first = 0; first + quality.batch <= index.records(); first += quality.batch) {
    in_batch.begin();
    std::uint64_t different = 0;
    for (std::uint64_t i = first; i < first + quality.batch; ++i) {
      for (const std::int32_t label : index.labels(i)) different += in_batch.add(label) ? 1 : 0;
    }
    total += different;
    quality.least = std::min(quality.least, different);
  }
  quality.found = static_cast<double>(total) / static_cast<double>(quality.batches);

  std::map<std::uint64_t, std::uint64_t> sizes;  // records of a class: classes of this size
  for (const std::uint64_t records : statistics.class_records) ++sizes[records];
  double variance = 0;  // of one batch, as if classes were independent: they crowd each other out,
                        // so it is less
  for (const auto& [records, classes] : sizes) {
    const double seen = probability_seen(index.records(), records, quality.batch);
    quality.expected += static_cast<double>(classes) * seen;
    variance += static_cast<double>(classes) * seen * (1 - seen);
  }
  quality.deviation = std::sqrt(variance / static_cast<double>(quality.batches));
  return quality;
}

Mixing judge(const DatasetStatistics& statistics, const ShuffleQuality& quality) {
  const auto classes = statistics.class_records.size() - statistics.empty_classes();
  const bool comparable =
      classes > 1 && quality.batch < statistics.records &&
      std::ranges::any_of(statistics.class_records, [](std::uint64_t n) { return n > 1; });
  if (!comparable) return Mixing::kUnknown;
  const double tolerated =
      std::max(kTolerated * quality.expected, kToleratedSigma * quality.deviation);
  if (quality.found >= quality.expected - tolerated) return Mixing::kMixed;
  return quality.found < kSortedShare * quality.expected ? Mixing::kSorted : Mixing::kPartly;
}

}  // namespace bit::storage
