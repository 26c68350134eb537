// Records or whole decoded images in memory, for sets that fit: what went in stays (never evicted:
// when a set does not fit, each epoch finds the part that was first, where an LRU would find
// nothing; Mohan et al., "Analyzing and Mitigating Data Stalls in DNN Training", VLDB 2021). What
// is in the cache never changes a pixel, so neither order nor timing can.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace bit::pipeline {

enum class CacheKind {
  kNone,
  kEncoded,  // records as they lie in the shard
  kDecoded,  // [height, width, 3] uint8 RGB
};

// What is held of a record. Immutable once it is in the cache.
class CachedImage {
 public:
  std::uint32_t width() const { return width_; }  // pixels; 0 for an encoded record
  std::uint32_t height() const { return height_; }
  std::span<const std::int32_t> labels() const { return {label_data(), label_count_}; }
  // The record's framed bytes, or the pixels.
  std::span<const std::byte> bytes() const { return {byte_data(), byte_count_}; }
  std::span<std::byte> bytes() { return {const_cast<std::byte*>(byte_data()), byte_count_}; }

 private:
  friend class ImageCache;
  const std::int32_t* label_data() const { return reinterpret_cast<const std::int32_t*>(this + 1); }
  const std::byte* byte_data() const {
    return reinterpret_cast<const std::byte*>(label_data() + label_count_);
  }
  std::uint64_t byte_count_ = 0;
  std::uint32_t width_ = 0, height_ = 0;
  std::uint32_t label_count_ = 0;
};

// Any thread, without locks.
class ImageCache {
 public:
  // For `records` records; `limit` bytes hold the table (8 a record) and all entries.
  ImageCache(CacheKind kind, std::uint64_t records, std::uint64_t limit);
  ~ImageCache();
  ImageCache(const ImageCache&) = delete;
  ImageCache& operator=(const ImageCache&) = delete;

  CacheKind kind() const { return kind_; }
  // nullptr: not here. Stays as long as the cache.
  const CachedImage* find(std::uint64_t record) const;

  struct Free {
    ImageCache* cache = nullptr;
    void operator()(CachedImage* image) const { cache->release(image); }
  };
  using Room = std::unique_ptr<CachedImage, Free>;
  // Takes room for `bytes` bytes, which the caller fills, and then adds. nullptr: it does not fit,
  // or the record is here or refused. When little is left, the first entry that does not fit ends
  // it: what is missing then lies together, and is read together.
  Room reserve(std::uint64_t record, std::uint32_t width, std::uint32_t height,
               std::span<const std::int32_t> labels, std::uint64_t bytes);
  // Of two threads that add the same record the second keeps nothing.
  void add(std::uint64_t record, Room image);
  // This record will not be added.
  void refuse(std::uint64_t record);

  std::uint64_t used_bytes() const { return used_; }  // never above the limit
  std::uint64_t images() const { return images_; }

 private:
  void release(CachedImage* image);
  static std::uint64_t footprint(std::size_t labels, std::uint64_t bytes);

  const CacheKind kind_;
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_ = 0, images_ = 0;
  std::atomic<bool> full_ = false;
  CachedImage refused_;                           // its address marks a refused record
  std::vector<std::atomic<CachedImage*>> table_;  // [records], or empty if it exceeds the limit
};

}  // namespace bit::pipeline
