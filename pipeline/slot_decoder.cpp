// The ways from a record to a slot; see slot_decoder.h.
#include "pipeline/slot_decoder.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

using Clock = std::chrono::steady_clock;
using storage::DataError;

// All of `size`, resized to `kept`.
ImagePlan whole(ImageSize size, ImageSize kept) {
  ImagePlan plan;
  plan.crop = {0, 0, size.width, size.height};
  plan.resized_width = kept.width;
  plan.resized_height = kept.height;
  return plan;
}

}  // namespace

void SlotDecoder::decode(std::uint64_t record, std::span<const std::byte> framed,
                         const Sample& planned, BatchPlace& place, std::uint32_t slot) {
  decode_framed(record, framed, /*fresh=*/true, planned, place, slot);
}

void SlotDecoder::decode(const CachedImage& cached, const Sample& planned, BatchPlace& place,
                         std::uint32_t slot) {
  if (cache_.kind() == CacheKind::kEncoded) {
    return decode_framed(planned.record, cached.bytes(), /*fresh=*/false, planned, place, slot);
  }
  key_ = {};
  const ImageSize size{cached.width(), cached.height()};
  cut(reinterpret_cast<const std::uint8_t*>(cached.bytes().data()), size, planned,
      place.image(slot));
  place.records[slot] = planned.record;
  place.labels[slot].assign(cached.labels().begin(), cached.labels().end());
}

// `fresh`: read just now. What the cache has passed its checksum when it went in.
void SlotDecoder::decode_framed(std::uint64_t record, std::span<const std::byte> framed, bool fresh,
                                const Sample& planned, BatchPlace& place, std::uint32_t slot) {
  key_ = {};
  const auto start = Clock::now();
  const storage::ParsedRecord parsed = storage::parse_record(framed, /*verify_data=*/fresh);
  if (parsed.fault) throw DataError(storage::describe(*parsed.fault));
  const std::uint64_t bytes = parsed.data.size() + storage::kRecordFramingBytes;
  if (bytes != dataset_.location(record).bytes) {
    throw DataError("its length is not the one in the index");
  }
  const storage::ImageExample& example = parser_.parse(parsed.data);
  key_ = example.key;
  check_labels(example.labels);
  const std::chrono::nanoseconds parsing = Clock::now() - start;
  cost_.parse_nanoseconds += static_cast<std::uint64_t>(parsing.count());

  const ImageSize size = decoder_.open(example.encoded);
  cost_.pixels += std::uint64_t{size.width} * size.height;
  if (!decode_whole(record, example, size, planned, place.image(slot))) {
    decoder_.decode(plan(size, planned), options_.image_size, place.image(slot));
  }
  if (fresh && cache_.kind() == CacheKind::kEncoded) {
    if (auto room = cache_.reserve(record, 0, 0, {}, bytes)) {
      std::ranges::copy(framed.first(bytes), room->bytes().begin());
      cache_.add(record, std::move(room));
    }
  }
  place.records[slot] = record;
  place.labels[slot].assign(example.labels.begin(), example.labels.end());
}

// Images of the cache are whole; and no pixel may depend on what is in it.
ImagePlan SlotDecoder::plan(ImageSize size, const Sample& planned) const {
  ImagePlan plan = plan_(size.width, size.height, planned.epoch, planned.record);
  if (cache_.kind() == CacheKind::kDecoded) plan.shrink = 1;
  return plan;
}

void SlotDecoder::check_labels(std::span<const std::int32_t> labels) const {
  if (labels.empty()) throw DataError("it has no label");
  for (const std::int32_t label : labels) {
    if (label < 0 || static_cast<std::uint32_t>(label) >= dataset_.classes()) {
      throw DataError("label " + std::to_string(label) + " (from 0), but the dataset has " +
                      std::to_string(dataset_.classes()) + " classes");
    }
  }
}

// The size in which a decoded image is kept.
ImageSize SlotDecoder::kept_size(ImageSize size) const {
  const std::uint32_t short_side = std::min(size.width, size.height);
  const std::uint32_t most = options_.cache_short_side;
  if (most == 0 || short_side <= most) return size;
  const auto scaled = [&](std::uint32_t side) {
    return static_cast<std::uint32_t>(std::lround(static_cast<double>(side) * most / short_side));
  };
  return {scaled(size.width), scaled(size.height)};
}

// For the cache of decoded images: decodes all of the opened image into the cache and cuts the slot
// from there. False, with the image open: there is no room, or not all of it can be decoded; then
// the slot gets what it would get without a cache. Whether a shrunk image is kept does not change
// the slot: a size limit holds for all images.
bool SlotDecoder::decode_whole(std::uint64_t record, const storage::ImageExample& example,
                               ImageSize size, const Sample& planned, std::span<std::uint8_t> out) {
  if (cache_.kind() != CacheKind::kDecoded) return false;
  const ImageSize kept = kept_size(size);
  const std::size_t kept_bytes = std::size_t{3} * kept.width * kept.height;
  ImageCache::Room room =
      cache_.reserve(record, kept.width, kept.height, example.labels, kept_bytes);
  if (!room && kept == size) return false;
  RgbImage image;
  try {
    image = decoder_.decode_full();
  } catch (const DataError&) {
    cache_.refuse(record);
    decoder_.open(example.encoded);
    return false;
  }
  if (!room) shrunk_.resize(std::max(shrunk_.size(), kept_bytes));
  std::uint8_t* pixels =
      room ? reinterpret_cast<std::uint8_t*>(room->bytes().data()) : shrunk_.data();
  if (kept == size) {
    std::memcpy(pixels, image.pixels.data(), kept_bytes);
  } else {
    resizer_.begin(whole(size, kept), kept.width, kept.height, {pixels, kept_bytes});
    resizer_.push_image(image.pixels.data(), size.width);
  }
  cut(pixels, kept, planned, out);
  if (room) cache_.add(record, std::move(room));
  return true;
}

// From a whole image.
void SlotDecoder::cut(const std::uint8_t* pixels, ImageSize size, const Sample& planned,
                      std::span<std::uint8_t> out) {
  const ImagePlan cutting = plan(size, planned);
  const CropBox& crop = cutting.crop;
  if (crop.x > size.width || crop.width > size.width - crop.x || crop.y > size.height ||
      crop.height > size.height - crop.y) {
    throw std::invalid_argument("the crop is not inside the image");
  }
  resizer_.begin(cutting, options_.image_size, out);
  resizer_.push_image(pixels, size.width);
}

}  // namespace bit::pipeline
