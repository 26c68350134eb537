// The ordinary JPEG, one Huffman-coded scan of 8-bit samples, coded anew symbol by symbol: no
// coefficient is computed, which is what makes it faster than libjpeg's way over blocks.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/convert/jpeg_transcode.h"

namespace bit::pipeline {

// The same bytes that transcode_with_libjpeg() gives, in a third of its time. Nothing when the file
// is another kind of JPEG, damaged in any way, or coded in a way that no encoder needs: libjpeg is
// to judge it. Only a missing end marker is forgiven, as in JpegDecoder; libjpeg refuses that.
std::optional<std::vector<std::byte>> transcode_symbols(std::span<const std::byte> file,
                                                        const TranscodeOptions& options);

}  // namespace bit::pipeline
