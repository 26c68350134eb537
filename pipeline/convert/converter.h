// A conversion: images to the shards of a split, shuffled by the seed, written by any number of
// threads and ranks, published together. Equal input, options and seed give equal bytes however
// many work on it and however often they are stopped: all that is done lies in a staging folder,
// and the same conversion started again goes on from there.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "pipeline/convert/convert_options.h"
#include "pipeline/convert/input.h"
#include "pipeline/convert/quarantine.h"
#include "pipeline/convert/shard_conversion.h"
#include "storage/file.h"

namespace bit::pipeline {

struct ConvertReport {
  bool published = false;  // false: more than max_bad images are bad, or none is good
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  // of all shards
  std::uint32_t shards = 0;
  std::uint64_t merged = 0;            // images that are in the record of an equal one
  std::uint64_t duplicate_groups = 0;  // of equal images
  std::vector<QuarantinedImage> bad;   // problems of the input, then in the order of the output
};

// What was published, when the split exists and a conversion with these options wrote it: the same
// command has nothing left to do. After check_options().
std::optional<ConvertReport> report_of_converted(storage::FileSystem& files,
                                                 const ConvertOptions& options);

enum class Preparation {
  kFresh,      // the input was listed
  kResumed,    // goes on where an earlier conversion was stopped
  kRestarted,  // an earlier one was stopped, but the options or the input have changed since
};

// Rank 0, first: lists the input, or takes over what an earlier conversion left. Throws
// std::invalid_argument with a sentence for options that cannot be (a split that exists, more
// shards than images, ...); storage::DataError for class names other than the dataset's and what
// the input throws; storage::StorageError, naming the file.
Preparation prepare_conversion(Input& input, LabelNames labels, storage::FileSystem& files,
                               const ConvertOptions& options);

// Removes what a conversion with these options has left to go on from.
void abandon_conversion(storage::FileSystem& files, const ConvertOptions& options);

// What follows. One thread. Methods throw storage::StorageError, storage::DataError.
class Conversion {
 public:
  // On every rank, when rank 0 has prepared. The arguments must outlive the object.
  Conversion(storage::FileSystem& files, const ConvertOptions& options);

  const Listing& listing() const { return listing_; }
  std::uint32_t shards() const { return shards_; }
  // Of all ranks, as they stand: images in shards that are done.
  std::uint64_t images_done() const;

  // By the listed sizes, as the images come in. Reads the whole list.
  struct ShardSizes {
    std::vector<std::uint64_t> images;  // [shard]
    std::uint64_t bytes = 0;            // of all
  };
  ShardSizes shard_sizes() const;

  // The input itself has more problems than max_bad: nothing is to be done but publish().
  bool refused() const;
  // With merge_duplicates, first on every rank, each its part; then on rank 0 merge().
  bool hash(const std::stop_token& stop, ConvertCounters& counters) const;
  void merge() const;
  // On every rank, each its shards; false when stopped before the last.
  bool convert(const std::stop_token& stop, ConvertCounters& counters) const;
  // Rank 0, when all shards are done. When more than max_bad images are bad nothing is published;
  // convert() tries them again when the conversion is given again, and makes the shards anew that
  // have one that is good now.
  ConvertReport publish() const;

 private:
  ShardsToConvert work(const MergePlan& merge) const;
  // The journal's entry of a shard that is done; nothing else.
  std::optional<schemas::ConvertedShard> done(std::uint32_t shard) const;
  MergePlan merge_plan() const;
  std::vector<DuplicateImages> duplicates() const;

  storage::FileSystem& files_;
  const ConvertOptions& options_;
  const std::string staging_;
  Listing listing_;
  std::uint32_t shards_;
  KeyedPermutation order_;
};

// All of it, on one rank.
ConvertReport convert(Input& input, storage::FileSystem& files, const ConvertOptions& options,
                      LabelNames labels = {});

}  // namespace bit::pipeline
