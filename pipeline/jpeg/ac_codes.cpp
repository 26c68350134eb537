#include "pipeline/jpeg/ac_codes.h"

#include <algorithm>

namespace bit::pipeline {
namespace {

constexpr std::uint32_t kMaxSize = 7;  // bits of a value whose correction fits into eight

AcCodes::Entry make_entry(std::uint32_t length, std::uint32_t size, std::uint32_t passed,
                          std::uint32_t correction) {
  return (length + size) | passed << 8 | size << 16 | correction << 24;
}

}  // namespace

bool AcCodes::assign(const HuffmanTable& table) {
  if (!all_.assign(table, HuffmanDecoder::Kind::kAc)) return false;
  Entry* next = entries_.data();
  std::size_t symbol = 0;
  for (std::uint32_t length = 1; length <= kLookBits; ++length) {
    const std::uint32_t copies = 1U << (kLookBits - static_cast<int>(length));
    for (std::uint32_t i = 0; i < table.counts[length]; ++i, ++symbol, next += copies) {
      const std::uint32_t run = table.symbols[symbol] >> 4, size = table.symbols[symbol] & 15;
      const bool end_of_block = size == 0 && run == 0;
      if (size == 0) {
        const bool known = end_of_block || run == 15;
        const std::uint32_t passed = end_of_block ? kEndOfBlock : run + 1;
        std::fill_n(next, copies, known ? make_entry(length, 0, passed, 0) : 0);
      } else if (size > kMaxSize || length == kLookBits) {
        std::fill_n(next, copies, 0);
      } else {
        // The first bit of a negative value is 0 (ITU-T T.81 table F.1).
        std::fill_n(next, copies / 2, make_entry(length, size, run + 1, 0U - ((1U << size) - 1)));
        std::fill_n(next + copies / 2, copies / 2, make_entry(length, size, run + 1, 0));
      }
    }
  }
  std::fill(next, entries_.data() + entries_.size(), 0);
  return true;
}

}  // namespace bit::pipeline
