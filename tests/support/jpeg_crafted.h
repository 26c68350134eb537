// Files with a sound header and any bits after it: what no encoder writes, yet decoders get as far
// as the bits are codes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/jpeg/header.h"

namespace bit::test {

// Codes of 1, 2, 3 ... bits: the earlier a symbol, the more often random bits mean it.
template <std::size_t kSize>
pipeline::HuffmanTable comb(const std::array<std::uint8_t, kSize>& symbols) {
  pipeline::HuffmanTable table;
  for (std::size_t i = 0; i < kSize; ++i) {
    table.counts[i + 1] = 1;
    table.symbols[i] = symbols[i];
  }
  return table;
}

inline constexpr std::size_t kCraftedHeader = 8;  // bytes that choose the header

// `bytes`: form, width, height, restart interval, tables, quantisation, two for whoever calls, and
// the coded data, in which 0xFF and a byte below 8 are a restart marker; any other 0xFF is stuffed.
// Empty when there are too few. At most 96 x 96 pixels.
inline std::vector<std::byte> crafted_jpeg(std::span<const std::uint8_t> bytes) {
  std::vector<std::byte> file;
  if (bytes.size() < kCraftedHeader) return file;
  pipeline::JpegHeader header;
  const std::uint8_t form = bytes[0];
  header.width = static_cast<std::uint16_t>(1 + bytes[1] % 96);
  header.height = static_cast<std::uint16_t>(1 + bytes[2] % 96);
  header.restart_interval = bytes[3] % 40;
  const auto across = static_cast<std::uint8_t>(1 + (form >> 1 & 1));
  const auto down = static_cast<std::uint8_t>(1 + (form >> 2 & 1));
  header.components = {{.id = 1, .horizontal = across, .vertical = down}};
  if ((form & 1) != 0) {
    header.components.push_back({.id = 2, .quantization = 1, .dc = 1, .ac = 1});
    header.components.push_back({.id = 3, .quantization = 1, .dc = 1, .ac = 1});
    if ((form & 8) != 0) header.adobe = 0;  // RGB
  }
  for (std::size_t i = 0; i < 2; ++i) {
    auto& quantization = header.quantization[i].emplace();
    for (std::size_t k = 0; k < 64; ++k) {
      quantization[k] = static_cast<std::uint8_t>(1 + bytes[5] * (k + i) / 64);
    }
    header.dc[i] = comb(std::array<std::uint8_t, 12>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
    header.ac[i] =
        comb(std::array<std::uint8_t, 16>{0x00, 0x01, 0x11, 0x02, 0xF0, 0x21, 0x05, 0xA1, 0x07,
                                          0x08, 0x31, 0x0A, 0x53, 0xF1, 0x09, 0xFA});
    // Another symbol comes first.
    auto& symbols = header.ac[i]->symbols;
    std::swap(symbols[0], symbols[bytes[4] >> (4 * i) & 15]);
  }
  pipeline::write_jpeg_header(header, file);
  for (std::size_t i = kCraftedHeader; i < bytes.size(); ++i) {
    file.push_back(static_cast<std::byte>(bytes[i]));
    if (bytes[i] != 0xFF) continue;
    const bool marker = i + 1 < bytes.size() && bytes[i + 1] < 8;
    file.push_back(static_cast<std::byte>(marker ? 0xD0 + bytes[++i] : 0));
  }
  file.push_back(std::byte{0xFF});
  file.push_back(std::byte{0xD9});
  return file;
}

}  // namespace bit::test
