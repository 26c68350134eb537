#include "pipeline/jpeg/huffman.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace bit::pipeline {
namespace {

constexpr int kMaxLength = 16;                             // of a code in a file
constexpr int kMaxOptimalLength = 32;                      // before shortening, as in libjpeg
constexpr std::uint32_t kMaxDcSize = 11, kMaxAcSize = 10;  // bits of a baseline file's values

HuffmanDecoder::Entry make_entry(std::uint8_t symbol, std::uint32_t length,
                                 HuffmanDecoder::Kind kind) {
  const std::uint32_t run = symbol >> 4, size = symbol & 15;
  std::uint32_t passed = run + 1;
  if (kind == HuffmanDecoder::Kind::kDc) {
    passed = symbol <= kMaxDcSize ? 1 : HuffmanDecoder::kBad;
  } else if (size == 0 && run == 0) {
    passed = HuffmanDecoder::kEndOfBlock;
  } else if (size > kMaxAcSize || (size == 0 && run != 15)) {
    passed = HuffmanDecoder::kBad;
  }
  const std::uint32_t extra = passed == HuffmanDecoder::kBad ? 0 : size;
  return std::uint32_t{symbol} << 24 | length << 16 | passed << 8 | (length + extra);
}

// Code lengths of the 257 symbols, the last being a stand-in that occurs once and keeps the code of
// all ones free; 0 for those that do not occur.
std::array<int, 257> tree_depths(std::span<const std::uint32_t, 256> counts) {
  struct Node {
    std::uint64_t count;
    int symbol;  // by which ties are broken: the larger goes first
    int index;   // in `parents`
    bool operator>(const Node& other) const {
      return count != other.count ? count > other.count : symbol < other.symbol;
    }
  };
  std::priority_queue<Node, std::vector<Node>, std::greater<>> queue;
  std::vector<int> parents;
  std::vector<int> leaves;  // their symbols; the first nodes
  const auto add_leaf = [&](std::uint64_t count, int symbol) {
    queue.push({count, symbol, static_cast<int>(leaves.size())});
    leaves.push_back(symbol);
  };
  for (int symbol = 0; symbol < 256; ++symbol) {
    if (counts[symbol] > 0) add_leaf(counts[symbol], symbol);
  }
  add_leaf(1, 256);
  parents.resize(leaves.size());
  while (queue.size() > 1) {
    const Node first = queue.top();
    queue.pop();
    const Node second = queue.top();
    queue.pop();
    const int index = static_cast<int>(parents.size());
    parents[first.index] = parents[second.index] = index;
    parents.push_back(index);
    queue.push({first.count + second.count, first.symbol, index});
  }
  std::vector<int> depths(parents.size());
  for (int node = static_cast<int>(parents.size()) - 2; node >= 0; --node) {
    depths[node] = depths[parents[node]] + 1;
  }
  std::array<int, 257> by_symbol{};
  for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) by_symbol[leaves[leaf]] = depths[leaf];
  return by_symbol;
}

// T.81 figure K.3: two of the longest codes become one that is a bit shorter, and a shorter code
// makes room for the other and itself.
void shorten_codes(std::array<int, kMaxOptimalLength + 1>& of_length) {
  for (int length = kMaxOptimalLength; length > kMaxLength; --length) {
    while (of_length[length] > 0) {
      int shorter = length - 2;
      while (of_length[shorter] == 0) --shorter;
      of_length[length] -= 2;
      of_length[length - 1] += 1;
      of_length[shorter + 1] += 2;
      of_length[shorter] -= 1;
    }
  }
}

}  // namespace

std::optional<std::array<HuffmanCode, 256>> huffman_codes(const HuffmanTable& table) {
  std::array<HuffmanCode, 256> codes{};
  std::uint32_t code = 0;
  std::size_t next = 0;
  for (int length = 1; length <= kMaxLength; ++length, code <<= 1) {
    for (int i = 0; i < table.counts[length]; ++i, ++code, ++next) {
      if (next == table.symbols.size()) return std::nullopt;
      codes[table.symbols[next]] = {static_cast<std::uint16_t>(code),
                                    static_cast<std::uint8_t>(length)};
    }
    if (table.counts[length] > 0 && code >= 1u << length) return std::nullopt;
  }
  return codes;
}

std::optional<HuffmanTable> optimal_huffman_table(std::span<const std::uint32_t, 256> counts) {
  const auto depths = tree_depths(counts);
  std::array<int, kMaxOptimalLength + 1> of_length{};
  for (const int depth : depths) {
    if (depth > kMaxOptimalLength) return std::nullopt;
    if (depth > 0) ++of_length[depth];
  }
  shorten_codes(of_length);
  int longest = kMaxLength;
  while (longest > 0 && of_length[longest] == 0) --longest;
  --of_length[longest];  // the stand-in's
  HuffmanTable table;
  for (int length = 1; length <= kMaxLength; ++length) {
    table.counts[length] = static_cast<std::uint8_t>(of_length[length]);
  }
  std::vector<std::pair<int, int>> order;  // depth before shortening, symbol
  for (int symbol = 0; symbol < 256; ++symbol) {
    if (depths[symbol] > 0) order.emplace_back(depths[symbol], symbol);
  }
  std::ranges::sort(order);
  for (std::size_t i = 0; i < order.size(); ++i) {
    table.symbols[i] = static_cast<std::uint8_t>(order[i].second);
  }
  return table;
}

bool HuffmanDecoder::assign(const HuffmanTable& table, Kind kind) {
  short_codes_.fill(0);
  std::uint32_t code = 0, next = 0;
  for (std::uint32_t length = 1; length <= kMaxLength; ++length, code <<= 1) {
    offsets_[length] = static_cast<std::int32_t>(next) - static_cast<std::int32_t>(code);
    const std::uint32_t count = table.counts[length];
    if (next + count > entries_.size() || code + count > (1u << length) - (count > 0 ? 1 : 0)) {
      return false;  // too many codes, or one of all ones
    }
    for (std::uint32_t i = 0; i < count; ++i, ++code, ++next) {
      if (kind == Kind::kDc && table.symbols[next] > 15) return false;
      entries_[next] = make_entry(table.symbols[next], length, kind);
      if (length > kLookBits) continue;
      const std::uint32_t copies = 1u << (kLookBits - length);
      std::fill_n(short_codes_.begin() + code * copies, copies, entries_[next]);
    }
    limits_[length] = code << (kMaxLength - length);
  }
  return true;
}

HuffmanDecoder::Entry HuffmanDecoder::find_long(std::uint64_t bits) const {
  const auto top = static_cast<std::uint32_t>(bits >> (64 - kMaxLength));
  for (int length = kLookBits + 1; length <= kMaxLength; ++length) {
    if (top >= limits_[length]) continue;
    const std::uint32_t code = top >> (kMaxLength - length);
    return entries_[static_cast<std::uint32_t>(static_cast<std::int32_t>(code) + offsets_[length])];
  }
  return kBad << 8 | 1;
}

}  // namespace bit::pipeline
