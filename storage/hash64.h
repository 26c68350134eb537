// A 64-bit hash that is equal on all machines and in all versions: it is stored in indexes and
// compared between ranks. Not against an adversary. Each word is folded in by multiply, xor and
// rotate (constants of xxHash64).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace bit::storage {

class Hash64 {
 public:
  void add(std::uint64_t word) {
    state_ = std::rotl(state_ ^ (std::rotl(word * kPrime2, 31) * kPrime1), 27) * kPrime1 + kPrime4;
  }
  // The length, then the bytes as little-endian words, the last one filled up with zeros.
  void add(std::string_view text) {
    add(static_cast<std::uint64_t>(text.size()));
    for (std::size_t i = 0; i < text.size(); i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + i, text.size() - i < 8 ? text.size() - i : 8);
      add(word);
    }
  }
  std::uint64_t value() const {
    std::uint64_t hash = state_;
    hash = (hash ^ (hash >> 33)) * kPrime2;
    hash = (hash ^ (hash >> 29)) * kPrime3;
    return hash ^ (hash >> 32);
  }

 private:
  static constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87u;
  static constexpr std::uint64_t kPrime2 = 0xC2B2AE3D27D4EB4Fu;
  static constexpr std::uint64_t kPrime3 = 0x165667B19E3779F9u;
  static constexpr std::uint64_t kPrime4 = 0x85EBCA77C2B2AE63u;
  std::uint64_t state_ = kPrime3;
};

// 16 hexadecimal digits.
inline std::string hash_digits(std::uint64_t hash) {
  std::string digits(16, '0');
  for (std::size_t i = 16; i > 0; --i, hash >>= 4) digits[i - 1] = "0123456789abcdef"[hash & 0xF];
  return digits;
}

// The hash of a record's key (its file name), as the index stores it.
inline std::uint64_t hash_text(std::string_view text) {
  Hash64 hash;
  hash.add(text);
  return hash.value();
}

}  // namespace bit::storage
