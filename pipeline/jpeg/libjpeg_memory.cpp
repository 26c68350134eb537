#include "pipeline/jpeg/libjpeg_memory.h"

// After jpeglib.h, which it needs.
#include <jerror.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace bit::pipeline {
namespace {

constexpr std::size_t kMinBlock = std::size_t{256} << 10, kMaxGrowth = std::size_t{1} << 20;

std::size_t lines_of(std::size_t bytes) {
  return bytes / ImageArena::kAlignment + (bytes % ImageArena::kAlignment != 0 ? 1 : 0);
}

// The functions below are called by libjpeg, and leave by its error_exit: a longjmp, over nothing
// that has a destructor.

void* take(j_common_ptr info, std::size_t bytes) {
  void* memory = static_cast<LibjpegMemory*>(info->mem)->arena.allocate(bytes);
  if (memory == nullptr) ERREXIT1(info, JERR_OUT_OF_MEMORY, 0);
  return memory;
}

void* allocate(j_common_ptr info, int, std::size_t bytes) { return take(info, bytes); }

// Rows one after the other. libjpeg refuses images over 65500 a side before, so sizes do not
// overflow.
template <typename Row>
Row* allocate_rows(j_common_ptr info, std::size_t row_bytes, JDIMENSION rows) {
  auto* const table = static_cast<Row*>(take(info, rows * sizeof(Row)));
  const std::size_t stride = lines_of(row_bytes) * ImageArena::kAlignment;
  auto* memory = static_cast<std::byte*>(take(info, rows * stride));
  for (JDIMENSION y = 0; y < rows; ++y, memory += stride) table[y] = reinterpret_cast<Row>(memory);
  return table;
}

JSAMPARRAY allocate_samples(j_common_ptr info, int, JDIMENSION samples, JDIMENSION rows) {
  return allocate_rows<JSAMPROW>(info, samples * sizeof(JSAMPLE), rows);
}

JBLOCKARRAY allocate_blocks(j_common_ptr info, int, JDIMENSION blocks, JDIMENSION rows) {
  return allocate_rows<JBLOCKROW>(info, blocks * sizeof(JBLOCK), rows);
}

// A whole image's coefficients, which libjpeg fills scan by scan. To it, a jvirt_barray_control.
struct WholeImage {
  JBLOCKARRAY rows;
  std::size_t row_bytes;
  JDIMENSION height, max_access;
  JDIMENSION defined;  // rows from the top that are zeroed or written
};

jvirt_barray_ptr request_blocks(j_common_ptr info, int pool, boolean zeroed, JDIMENSION blocks,
                                JDIMENSION rows, JDIMENSION max_access) {
  auto* const image = static_cast<WholeImage*>(take(info, sizeof(WholeImage)));
  image->rows = allocate_blocks(info, pool, blocks, rows);
  image->row_bytes = blocks * sizeof(JBLOCK);
  image->height = rows;
  image->max_access = max_access;
  image->defined = zeroed ? 0 : rows;
  return reinterpret_cast<jvirt_barray_ptr>(image);
}

// Rows are zeroed when they are first asked for: they are about to be used.
JBLOCKARRAY access_blocks(j_common_ptr info, jvirt_barray_ptr array, JDIMENSION first,
                          JDIMENSION count, boolean) {
  auto* const image = reinterpret_cast<WholeImage*>(array);
  if (count > image->max_access || count > image->height || first > image->height - count) {
    ERREXIT(info, JERR_BAD_VIRTUAL_ACCESS);
  }
  for (; image->defined < first + count; ++image->defined) {
    std::memset(image->rows[image->defined], 0, image->row_bytes);
  }
  return image->rows + first;
}

// Arrays are there as soon as they are requested.
void realize_arrays(j_common_ptr) {}

// Only for quantising colours.
jvirt_sarray_ptr request_samples(j_common_ptr info, int, boolean, JDIMENSION, JDIMENSION,
                                 JDIMENSION) {
  ERREXIT(info, JERR_NOT_COMPILED);
  return nullptr;
}

JSAMPARRAY access_samples(j_common_ptr info, jvirt_sarray_ptr, JDIMENSION, JDIMENSION, boolean) {
  ERREXIT(info, JERR_NOT_COMPILED);
  return nullptr;
}

void release_image(j_common_ptr info, int pool) {
  if (pool == JPOOL_IMAGE) static_cast<LibjpegMemory*>(info->mem)->arena.release();
}

void release_all(j_common_ptr info) { static_cast<LibjpegMemory*>(info->mem)->arena.release(); }

}  // namespace

void* ImageArena::allocate(std::size_t bytes) noexcept {
  const std::size_t lines = lines_of(bytes);
  if (blocks_.empty() || blocks_.back().size - blocks_.back().used < lines) {
    try {
      add_block(lines);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }
  Block& block = blocks_.back();
  void* const memory = block.lines.get() + block.used;
  block.used += lines;
  return memory;
}

void ImageArena::add_block(std::size_t lines) {
  // The first block is for all of an image like the last one; more grow with what there is.
  const std::size_t usual = std::max(kMinBlock, std::min(reserved_, kMaxGrowth)) / kAlignment;
  lines = std::max({lines, usual, blocks_.empty() ? wanted_ : 0});
  Block block{std::make_unique_for_overwrite<Line[]>(lines), lines, 0};
  blocks_.push_back(std::move(block));
  reserved_ += lines * sizeof(Line);
}

void ImageArena::release() noexcept {
  const bool grown = blocks_.size() > 1 && reserved_ <= kKept;
  if (grown) {
    wanted_ = 0;
    for (const Block& block : blocks_) wanted_ += block.used;
  }
  while (!blocks_.empty() && (grown || blocks_.size() > 1 || reserved_ > kKept)) {
    reserved_ -= blocks_.back().size * sizeof(Line);
    blocks_.pop_back();
  }
  if (!blocks_.empty()) blocks_.front().used = 0;
}

LibjpegMemory::LibjpegMemory() : jpeg_memory_mgr{} {
  alloc_small = allocate;
  alloc_large = allocate;
  alloc_sarray = allocate_samples;
  alloc_barray = allocate_blocks;
  request_virt_sarray = request_samples;
  request_virt_barray = request_blocks;
  realize_virt_arrays = realize_arrays;
  access_virt_sarray = access_samples;
  access_virt_barray = access_blocks;
  free_pool = release_image;
  self_destruct = release_all;
  max_alloc_chunk = std::numeric_limits<long>::max();
}

}  // namespace bit::pipeline
