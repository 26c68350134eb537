// An image file to the JPEG bytes of a record. Lossless: the quantised coefficients are copied, so
// every decoder gives the same pixels, but the file is baseline, without metadata, with Huffman
// tables made for it, and with restart intervals that let a reader decode a part of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/jpeg.h"

namespace bit::pipeline {

enum class JpegMode {
  kKeep,      // bytes as they are
  kLossless,  // same pixels, rewritten
};

struct NormalizedImage {
  std::vector<std::byte> bytes;         // JPEG
  std::uint32_t width = 0, height = 0;  // pixels
};

// Checked by decoding the result whole, with the decoder that training uses. Throws
// storage::DataError with the reason alone for what is not a JPEG, damaged, or cut short.
// A JPEG whose coefficients do not fit a baseline file is kept as it is.
NormalizedImage normalize_image(std::span<const std::byte> file, JpegMode mode,
                                JpegDecoder& decoder);

}  // namespace bit::pipeline
