// Huffman decoding of the MCUs that a crop needs, rows of them side by side: decoding waits for its
// own last result, so two rows of which neither needs the other take little longer than one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/jpeg/ac_codes.h"
#include "pipeline/jpeg/huffman.h"

namespace bit::pipeline {

inline constexpr std::size_t kMaxMcuBlocks = 10;
inline constexpr std::size_t kMaxComponents = 3;

// A block of an MCU.
struct McuBlock {
  const HuffmanDecoder* dc = nullptr;
  const AcCodes* ac = nullptr;
  std::uint32_t component = 0;
  std::uint32_t across = 1;  // blocks of the component that an MCU is wide
  std::uint32_t x = 0;       // which of them this is
};

// The coded data of an image. The intervals that decoding meets are checked to end where their
// markers stand; what lies between is not looked at.
struct Scan {
  std::span<const std::uint8_t> coded;  // from the scan's header to the end of the file
  std::vector<std::uint32_t> starts;    // of the restart intervals, in `coded`
  std::uint32_t interval = 0;           // MCUs from one restart to the next
  std::uint32_t columns = 0;            // MCUs in a row
  std::uint64_t mcus = 0;
  std::array<McuBlock, kMaxMcuBlocks> blocks;
  std::size_t block_count = 0;
};

// A part of a row of MCUs, and where its coefficients go.
struct McuRow {
  std::uint64_t first = 0;  // MCU of the image
  std::uint32_t count = 0;
  // Of each block of an MCU: the tiles (idct_simd.h) of its row of blocks, all zero.
  std::array<std::int16_t*, kMaxMcuBlocks> tiles;
};

// One bit stream and how far it has come; see scan_decoder_simd.cpp. Memory is kept.
struct ScanStream {
  // In a block.
  std::uint64_t bits = 0;  // the next ones from the top
  // In its low 8 bits 63 less the number of valid ones, in the next 8 the coefficients passed by,
  // and above them nothing of use: sums of entries of AcCodes.
  std::uint32_t state = 0;
  const std::uint8_t* next = nullptr;
  std::int16_t* block = nullptr;
  const AcCodes::Entry* codes = nullptr;
  // Between blocks.
  const std::uint8_t* end = nullptr;  // of the interval's bytes
  std::uint64_t mcu = 0;              // of the image
  std::uint64_t interval_end = 0;     // MCU
  std::uint32_t block_of_mcu = 0;
  std::array<std::int32_t, kMaxComponents> dc{};
  bool positioned = false;  // at the beginning of `mcu`, in an interval of this image
  McuRow row;
  std::vector<std::uint8_t> bytes;  // of the interval, unstuffed
};

// Decodes one or two rows, each by the stream of its place. A row goes on where its stream is when
// the interval is the same and else from the beginning of its interval. False when the data is
// damaged, or coded in a way that no encoder needs: libjpeg is to judge it.
bool decode_mcu_rows(const Scan& scan, std::span<const McuRow> rows,
                     std::array<ScanStream, 2>& streams);

}  // namespace bit::pipeline
