// A JPEG written anew with the coefficients it has: every decoder gives the same pixels, but the
// file is baseline, without metadata, with Huffman tables made for it, and with restart intervals
// that let a reader decode a part of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bit::pipeline {

struct TranscodeOptions {
  bool restart_intervals = true;  // of kRestartInterval MCUs; else none
};

// The JFIF or Adobe marker stays where colours depend on it. A JPEG whose coefficients do not fit
// a baseline file comes back as it is. Throws storage::DataError with the reason alone for what is
// not a JPEG, damaged, or cut short.
std::vector<std::byte> transcode_jpeg(std::span<const std::byte> file,
                                      const TranscodeOptions& options);

// The same through libjpeg's coefficients, whatever the file: the way for all that is not an
// ordinary baseline file, and what the faster way (jpeg_symbols.h) is checked against. Does as
// jpegtran -copy none -optimize -restart.
std::vector<std::byte> transcode_with_libjpeg(std::span<const std::byte> file,
                                              const TranscodeOptions& options);

// MCUs (the blocks that are coded together) between restart markers, where finer intervals stop
// paying for their bytes. They need not begin where rows of MCUs do.
inline constexpr std::uint32_t kRestartInterval = 4;

}  // namespace bit::pipeline
