// An image file to the JPEG bytes of a record. Lossless: the quantised coefficients are copied, so
// every decoder gives the same pixels, but the file is baseline, without metadata, with Huffman
// tables made for it, and with restart intervals that let a reader decode a part of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/jpeg.h"
#include "storage/hash64.h"

namespace bit::pipeline {

using ContentHash = std::array<std::uint64_t, 2>;
enum class JpegMode {
  kKeep,      // bytes as they are
  kLossless,  // same pixels, rewritten
};

enum class Subsampling { k444 };
struct NormalizeOptions {
  JpegMode jpeg = JpegMode::kLossless;
  bool restart_intervals = true;
  bool apply_exif = false;
  int quality = 95;
  Subsampling subsampling = Subsampling::k444;
  std::uint32_t max_side = 0;
};
struct NormalizedImage {
  std::vector<std::byte> bytes;         // JPEG
  std::uint32_t width = 0, height = 0;  // pixels
  ContentHash content_hash = {};
};

// Checked by decoding the result whole, with the decoder that training uses. Throws
// storage::DataError with the reason alone for what is not a JPEG, damaged, or cut short.
// A JPEG whose coefficients do not fit a baseline file is kept as it is.
NormalizedImage normalize_image(std::span<const std::byte> file, JpegMode mode,
                                JpegDecoder& decoder);

class ImageNormalizer {
 public:
  explicit ImageNormalizer(const NormalizeOptions& options) : options_(options) {}
  NormalizedImage normalize(std::span<const std::byte> file) {
    auto image = normalize_image(file, options_.jpeg, decoder_);
    decoder_.open(image.bytes);
    const auto pixels = decoder_.decode_full();
    storage::Hash64 hash;
    hash.add(std::string_view(reinterpret_cast<const char*>(pixels.pixels.data()),
                              pixels.pixels.size()));
    image.content_hash = {hash.value(), 1};
    return image;
  }

 private:
  NormalizeOptions options_;
  JpegDecoder decoder_;
};

}  // namespace bit::pipeline
