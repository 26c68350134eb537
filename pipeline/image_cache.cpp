// A table of pointers that are set once; see image_cache.h. An entry is one block: header, labels,
// bytes, padding.
#include "pipeline/image_cache.h"

#include <algorithm>
#include <new>

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kSlotBytes = sizeof(std::atomic<CachedImage*>);
constexpr std::uint64_t kLittle = 16;  // part of the limit

}  // namespace

ImageCache::ImageCache(CacheKind kind, std::uint64_t records, std::uint64_t limit)
    : kind_(kind),
      limit_(limit),
      table_(kind == CacheKind::kNone || records > limit / kSlotBytes ? 0 : records) {
  used_ = table_.size() * kSlotBytes;
  full_ = table_.empty();
}

ImageCache::~ImageCache() {
  for (const auto& slot : table_) {
    CachedImage* image = slot.load(std::memory_order_relaxed);
    if (image != nullptr && image != &refused_) ::operator delete(image);
  }
}

std::uint64_t ImageCache::footprint(std::size_t labels, std::uint64_t bytes) {
  return sizeof(CachedImage) + labels * sizeof(std::int32_t) + bytes;
}

const CachedImage* ImageCache::find(std::uint64_t record) const {
  if (record >= table_.size()) return nullptr;
  const CachedImage* image = table_[record].load(std::memory_order_acquire);
  return image == &refused_ ? nullptr : image;
}

ImageCache::Room ImageCache::reserve(std::uint64_t record, std::uint32_t width,
                                     std::uint32_t height, std::span<const std::int32_t> labels,
                                     std::uint64_t bytes) {
  Room none(nullptr, Free{this});
  if (full_.load(std::memory_order_relaxed) || record >= table_.size() ||
      table_[record].load(std::memory_order_relaxed) != nullptr) {
    return none;
  }
  const std::uint64_t needed = footprint(labels.size(), bytes);
  std::uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (needed > limit_ - used) {
      if (limit_ - used < limit_ / kLittle) full_ = true;
      return none;
    }
  } while (!used_.compare_exchange_weak(used, used + needed, std::memory_order_relaxed));

  void* memory = nullptr;
  try {
    memory = ::operator new(needed);
  } catch (const std::bad_alloc&) {
    used_ -= needed;
    throw;
  }
  auto* image = new (memory) CachedImage;
  image->byte_count_ = bytes;
  image->width_ = width;
  image->height_ = height;
  image->label_count_ = static_cast<std::uint32_t>(labels.size());
  std::ranges::copy(labels, const_cast<std::int32_t*>(image->label_data()));
  return Room(image, Free{this});
}

void ImageCache::add(std::uint64_t record, Room image) {
  CachedImage* expected = nullptr;
  if (table_[record].compare_exchange_strong(expected, image.get(), std::memory_order_release,
                                             std::memory_order_relaxed)) {
    static_cast<void>(image.release());
    ++images_;
  }
}

void ImageCache::refuse(std::uint64_t record) {
  if (record >= table_.size()) return;
  CachedImage* expected = nullptr;
  table_[record].compare_exchange_strong(expected, &refused_, std::memory_order_relaxed);
}

void ImageCache::release(CachedImage* image) {
  used_ -= footprint(image->label_count_, image->byte_count_);
  ::operator delete(image);
}

}  // namespace bit::pipeline
