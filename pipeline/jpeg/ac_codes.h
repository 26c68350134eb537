// The codes of AC coefficients as the loop over a block wants them: one look at the next bits says
// how far to go on, which coefficient comes, and how its bits become its value.
#pragma once

#include <array>
#include <cstdint>

#include "pipeline/jpeg/huffman.h"

namespace bit::pipeline {

class AcCodes {
 public:
  static constexpr int kLookBits = 11;

  // A code whose value has at most 7 bits, together with the value's first bit, its sign:
  //   bits 0..7    length of code and value together, at most kMaxBits
  //   bits 8..15   coefficients passed by, its own included; kEndOfBlock
  //   bits 16..23  how many bits the value has
  //   bits 24..31  signed: what is added to the bits of the value
  using Entry = std::uint32_t;
  static constexpr std::uint32_t kMaxBits = 17;
  static constexpr std::uint32_t kEndOfBlock = HuffmanDecoder::kEndOfBlock;

  // False when the table is not valid.
  bool assign(const HuffmanTable& table);

  // By the next kLookBits bits; 0: not such a code, see all().
  const Entry* entries() const { return entries_.data(); }
  const HuffmanDecoder& all() const { return all_; }

 private:
  alignas(64) std::array<Entry, 1 << kLookBits> entries_;
  HuffmanDecoder all_;
};

}  // namespace bit::pipeline
