// RGB to JPEG, for images that come as something else.
#pragma once

#include <cstddef>
#include <vector>

#include "pipeline/jpeg.h"

namespace bit::pipeline {

// Of colour against brightness: 4:4:4 keeps all of it, 4:2:2 every second column, 4:2:0 a quarter.
enum class Subsampling { k444, k422, k420 };

struct EncodeOptions {
  int quality = 95;  // 1 to 100, libjpeg's scale
  Subsampling subsampling = Subsampling::k444;
  bool restart_intervals = true;  // of kRestartInterval MCUs; else none
};

// A baseline JFIF file with Huffman tables made for it and no metadata. The same pixels give the
// same bytes. Throws storage::DataError with the reason alone for what does not fit a JPEG.
std::vector<std::byte> encode_jpeg(const RgbImage& image, const EncodeOptions& options);

}  // namespace bit::pipeline
