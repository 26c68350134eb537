// The work of a conversion that threads and ranks share: images to shards, each journalled when it
// is done, and before that, when equal images are to be merged, the hashes of their pixels.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "pipeline/convert/duplicates.h"
#include "pipeline/convert/journal.h"
#include "pipeline/convert/listing.h"
#include "pipeline/convert/normalize_image.h"
#include "pipeline/random.h"
#include "schemas/conversion.pb.h"
#include "storage/file.h"

namespace bit::pipeline {

// What is done so far; read by any thread.
struct ConvertCounters {
  std::atomic<std::uint64_t> images = 0;  // bad ones included
  std::atomic<std::uint64_t> bytes_read = 0;
  std::atomic<std::uint64_t> bytes_written = 0;
};

// What happens to images that are equal in every pixel: the first one's record gets the labels of
// all, the others have none.
class MergePlan {
 public:
  MergePlan() = default;
  explicit MergePlan(const schemas::MergedImages& merged);
  // Nothing to be written for `image`.
  bool left_out(std::uint64_t image) const;
  // The labels of all that are equal to `image`; null when it is like no other.
  const std::vector<std::int32_t>* labels(std::uint64_t image) const;

 private:
  // Labels of the first of each group; nothing for the others.
  std::unordered_map<std::uint64_t, std::vector<std::int32_t>> images_;
};

// What the shards of a split are made of. Position p of the output holds image order(p); shard s of
// S the positions [s n / S, (s + 1) n / S). A bad image leaves its position empty.
struct ShardsToConvert {
  storage::FileSystem& files;
  const Listing& listing;
  const KeyedPermutation& order;
  const MergePlan& merge;
  const NormalizeOptions& image;
  std::string staging;
  std::string name, split;
  std::uint32_t shards = 1;
};

// Converts `numbers` of the shards in ascending order. Memory: 16 images a thread, and 256 MiB of
// them beyond those being worked on. Returns false when stopped before the last. Throws
// storage::StorageError, naming the file.
bool convert_shards(const ShardsToConvert& what, std::span<const std::uint32_t> numbers,
                    unsigned threads, const std::stop_token& stop, ConvertCounters& counters);

// Whether one of the images that could not be used when the shard was made can be used now.
bool is_mended(const ShardsToConvert& what, const schemas::ConvertedShard& entry);

// The pixels' hashes of blocks of kHashBlock consecutive images, a file for each block, in
// `staging`/hashes; blocks that are there are left out. {0, 0} stands for an image that cannot be
// used. As convert_shards() else.
inline constexpr std::uint64_t kHashBlock = 4096;
bool hash_images(const ShardsToConvert& what, std::span<const std::uint64_t> blocks,
                 unsigned threads, const std::stop_token& stop, ConvertCounters& counters);
std::vector<ContentHash> read_hashes(storage::FileSystem& files, const std::string& staging,
                                     std::uint64_t block);

}  // namespace bit::pipeline
