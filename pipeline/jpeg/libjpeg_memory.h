// Memory for a libjpeg decompressor that stays from image to image, where libjpeg's own manager
// takes it from the heap for each. Every image starts with nothing in it.
#pragma once

#include <cstddef>
#include <cstdio>
// After cstddef and cstdio.
#include <jpeglib.h>

#include <memory>
#include <vector>

namespace bit::pipeline {

// Hands out memory that is given back all at once.
class ImageArena {
 public:
  // Bytes, of every address too: what libjpeg-turbo's SIMD wants (32 for AVX2), and a cache line.
  static constexpr std::size_t kAlignment = 64;
  // Bytes that stay over release(). A large photograph's coefficients (22 megapixels of progressive
  // 4:2:0) fit; what is rarer than those is taken from the heap and given back to it.
  static constexpr std::size_t kKept = std::size_t{64} << 20;

  // Not cleared, good until release(). nullptr: the heap has no more.
  void* allocate(std::size_t bytes) noexcept;
  void release() noexcept;
  std::size_t reserved() const { return reserved_; }  // bytes taken from the heap

 private:
  struct alignas(kAlignment) Line {
    std::byte bytes[kAlignment];
  };
  struct Block {
    std::unique_ptr<Line[]> lines;
    std::size_t size = 0, used = 0;  // lines
  };
  void add_block(std::size_t lines);

  std::vector<Block> blocks_;  // more than one: the image needs more than those before it
  std::size_t reserved_ = 0;
  std::size_t wanted_ = 0;  // lines that the last image used, when it took several blocks
};

// What libjpeg calls for its memory. Its two pools are one here: release the arena before each
// image, and drop what points into it, which are the tables that a decompressor keeps. For
// decompressors that do not quantise colours.
struct LibjpegMemory : jpeg_memory_mgr {
  LibjpegMemory();
  ImageArena arena;
};

}  // namespace bit::pipeline
