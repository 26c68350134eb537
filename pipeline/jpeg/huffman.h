// Huffman tables of JPEG: as they stand in a file, made for decoding, and made for given counts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace bit::pipeline {

// As in a DHT segment (ITU-T T.81 §B.2.4.2).
struct HuffmanTable {
  std::array<std::uint8_t, 17> counts{};    // codes of each length, 1..16
  std::array<std::uint8_t, 256> symbols{};  // in the order of their codes
  bool operator==(const HuffmanTable&) const = default;
};

struct HuffmanCode {
  std::uint16_t bits = 0;
  std::uint8_t length = 0;  // 0: the symbol has no code
};

// By symbol (T.81 §C.2). Nothing when the counts are of no prefix code, or one of its codes is all
// ones.
std::optional<std::array<HuffmanCode, 256>> huffman_codes(const HuffmanTable& table);

// The table of the fewest bits for symbols that occur so often (T.81 §K.2), with ties broken as
// libjpeg breaks them, so that its tables are the same. Nothing when a code of more than 32 bits
// would have to be shortened, which takes millions of symbols in Fibonacci's proportions.
std::optional<HuffmanTable> optimal_huffman_table(std::span<const std::uint32_t, 256> counts);

// Looks at the next bits and says what the next symbol and its extra bits are.
class HuffmanDecoder {
 public:
  enum class Kind { kDc, kAc };
  static constexpr int kLookBits = 10;

  // A symbol with everything that the loop over a block needs, packed:
  //   bits 0..7    length of code and extra bits together, at most 27
  //   bits 8..15   coefficients passed by, the one with extra bits included
  //   bits 16..23  length of the code
  //   bits 24..31  the symbol, whose low half is the number of extra bits
  using Entry = std::uint32_t;
  static constexpr std::uint32_t kEndOfBlock = 128;  // coefficients passed by
  static constexpr std::uint32_t kBad = 64;          // likewise: no code, or not of a baseline file

  // False when the table is not valid.
  bool assign(const HuffmanTable& table, Kind kind);

  // The entry for the symbol at the top of `bits`.
  Entry find(std::uint64_t bits) const {
    const Entry entry = short_codes_[bits >> (64 - kLookBits)];
    if (entry != 0) [[likely]]
      return entry;
    return find_long(bits);
  }

 private:
  Entry find_long(std::uint64_t bits) const;

  std::array<Entry, 1 << kLookBits> short_codes_;  // 0: the code is longer
  // Of each length: the first 16 bits after its last code, and where its symbols' entries are less
  // its first code.
  std::array<std::uint32_t, 17> limits_;
  std::array<std::int32_t, 17> offsets_;
  std::array<Entry, 256> entries_;  // in the order of the codes
};

}  // namespace bit::pipeline
