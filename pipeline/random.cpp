// Counter-based randomness; see random.h. Nothing here has state that outlives a value.
#include "pipeline/random.h"

#include <algorithm>
#include <bit>

namespace bit::pipeline {
namespace {

// Philox multipliers and Weyl increments (Salmon et al. 2011, table 2 and section 4.3).
constexpr std::uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kPhiloxRounds = 10;

constexpr std::uint32_t low_word(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t high_word(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): one step from state `value`.
constexpr std::uint64_t split_mix(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

// A 32-bit mixing function (lowbias32: Wellons, "Prospecting for hash functions", 2018).
constexpr std::uint32_t mix32(std::uint32_t value) {
  value = (value ^ (value >> 16)) * 0x7FEB352D;
  value = (value ^ (value >> 15)) * 0x846CA68B;
  return value ^ (value >> 16);
}

// [0, bound) from all 32 bits of `value`.
constexpr std::uint32_t scale(std::uint32_t value, std::uint32_t bound) {
  return high_word(std::uint64_t{value} * bound);
}

// A network over fewer cells mixes badly (6 rounds leave 5! orders of 5 items visibly uneven);
// small sizes walk instead.
constexpr unsigned kLeastColumnBits = 3;

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const std::uint64_t product0 = std::uint64_t{kMultiplier0} * counter[0];
    const std::uint64_t product1 = std::uint64_t{kMultiplier1} * counter[2];
    counter = {high_word(product1) ^ counter[1] ^ key[0], low_word(product1),
               high_word(product0) ^ counter[3] ^ key[1], low_word(product0)};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return counter;
}

RandomStream::RandomStream(std::uint64_t seed, std::uint64_t epoch, std::uint64_t record)
    : counter_{0, low_word(epoch), low_word(record), high_word(record)},
      key_{low_word(seed), high_word(seed)} {}

std::uint32_t RandomStream::next_u32() {
  if (used_ == block_.size()) {
    block_ = philox4x32(counter_, key_);
    ++counter_[0];
    used_ = 0;
  }
  return block_[used_++];
}

double RandomStream::uniform() { return next_u32() * 0x1p-32; }

double RandomStream::uniform(double low, double high) { return low + (high - low) * uniform(); }

std::uint32_t RandomStream::below(std::uint32_t bound) {
  // Lemire, "Fast random integer generation in an interval", 2019: products whose low word is under
  // 2^32 mod bound are drawn again.
  const std::uint32_t rejected = (0U - bound) % bound;
  std::uint64_t product = 0;
  do {
    product = std::uint64_t{next_u32()} * bound;
  } while (low_word(product) < rejected);
  return high_word(product);
}

KeyedPermutation::KeyedPermutation(std::uint64_t size, std::uint64_t key)
    : size_(size),
      column_bits_(
          std::max(kLeastColumnBits, static_cast<unsigned>(std::bit_width(size) - 1) / 2)) {
  const std::uint64_t columns = std::uint64_t{1} << column_bits_;
  rows_ = low_word(std::max(columns, (size + columns - 1) / columns));
  for (std::size_t i = 0; i < round_keys_.size(); i += 2) {
    key = split_mix(key);
    round_keys_[i] = low_word(key);
    round_keys_[i + 1] = high_word(key);
  }
}

std::uint64_t KeyedPermutation::operator()(std::uint64_t position) const {
  const std::uint32_t column_mask = (std::uint32_t{1} << column_bits_) - 1;
  do {
    std::uint32_t column = low_word(position) & column_mask;
    std::uint32_t row = low_word(position >> column_bits_);
    for (std::size_t i = 0; i < round_keys_.size(); i += 2) {
      const std::uint32_t shift = scale(mix32(column ^ round_keys_[i]), rows_);
      row = row >= rows_ - shift ? row - (rows_ - shift) : row + shift;
      column ^= mix32(row ^ round_keys_[i + 1]) & column_mask;
    }
    position = (std::uint64_t{row} << column_bits_) | column;
  } while (position >= size_);
  return position;
}

std::uint64_t KeyedPermutation::inverse(std::uint64_t value) const {
  const std::uint32_t column_mask = (std::uint32_t{1} << column_bits_) - 1;
  do {
    std::uint32_t column = low_word(value) & column_mask;
    std::uint32_t row = low_word(value >> column_bits_);
    for (std::size_t i = round_keys_.size(); i > 0; i -= 2) {
      column ^= mix32(row ^ round_keys_[i - 1]) & column_mask;
      const std::uint32_t shift = scale(mix32(column ^ round_keys_[i - 2]), rows_);
      row = row >= shift ? row - shift : row + (rows_ - shift);
    }
    value = (std::uint64_t{row} << column_bits_) | column;
  } while (value >= size_);
  return value;
}

std::uint64_t mix_key(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
  return split_mix(split_mix(split_mix(split_mix(a) ^ b) ^ c) ^ d);
}

}  // namespace bit::pipeline
