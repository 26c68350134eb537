// One record into one slot: checksum, tensorflow.Example, labels, pixels; from what was read or
// from the cache, and into the cache. What a decoder thread owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/batch_ring.h"
#include "pipeline/image_cache.h"
#include "pipeline/jpeg.h"
#include "pipeline/loader.h"
#include "pipeline/order.h"
#include "pipeline/resize.h"
#include "storage/dataset.h"
#include "storage/example.h"

namespace bit::pipeline {

// What decoding took.
struct DecodeCost {
  std::uint64_t parse_nanoseconds = 0;
  std::uint64_t pixels = 0;  // of the image, before its crop
};

// One thread. Allocates nothing for an image but its entry in the cache, once it has met the
// largest.
class SlotDecoder {
 public:
  // All arguments must outlive the decoder.
  SlotDecoder(const storage::Dataset& dataset, const PlanImage& plan, const LoaderOptions& options,
              ImageCache& cache)
      : dataset_(dataset), plan_(plan), options_(options), cache_(cache) {}

  // Fills the slot with `record`, in the place of the planned one and cut like it. Throws DataError
  // with the reason for which the record cannot be used.
  void decode(std::uint64_t record, std::span<const std::byte> framed, const Sample& planned,
              BatchPlace& place, std::uint32_t slot);
  // The same with the planned record, as the cache has it.
  void decode(const CachedImage& cached, const Sample& planned, BatchPlace& place,
              std::uint32_t slot);
  // Of the last record, as far as it is known; a view into it.
  std::string_view key() const { return key_; }
  // Of all calls since the last take_cost().
  DecodeCost take_cost() { return std::exchange(cost_, {}); }

 private:
  void decode_framed(std::uint64_t record, std::span<const std::byte> framed, bool fresh,
                     const Sample& planned, BatchPlace& place, std::uint32_t slot);
  void check_labels(std::span<const std::int32_t> labels) const;
  ImagePlan plan(ImageSize size, const Sample& planned) const;
  ImageSize kept_size(ImageSize size) const;
  bool decode_whole(std::uint64_t record, const storage::ImageExample& example, ImageSize size,
                    const Sample& planned, std::span<std::uint8_t> out);
  void cut(const std::uint8_t* pixels, ImageSize size, const Sample& planned,
           std::span<std::uint8_t> out);

  const storage::Dataset& dataset_;
  const PlanImage& plan_;
  const LoaderOptions& options_;
  ImageCache& cache_;
  storage::ImageExampleParser parser_;
  JpegDecoder decoder_;
  RowResizer resizer_;
  std::vector<std::uint8_t> shrunk_;  // an image that the cache has no room for
  std::string_view key_;
  DecodeCost cost_;
};

}  // namespace bit::pipeline
