// Randomness as a function of what it is for, never of a thread or a rank: a counter-based
// generator and keyed permutations.
#pragma once

#include <array>
#include <cstdint>

namespace bit::pipeline {

// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four
// words from a 128-bit counter and a 64-bit key.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

// The stream of numbers of one (seed, epoch, record): up to 2^34 of them, for epochs below 2^32.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::uint64_t epoch, std::uint64_t record);
  std::uint32_t next_u32();
  double uniform();                          // [0, 1), 32 bits of it
  double uniform(double low, double high);   // [low, high)
  std::uint32_t below(std::uint32_t bound);  // [0, bound), unbiased; bound > 0
 private:
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
};

// A pseudo-random bijection of [0, size): a Feistel network over columns x rows, 2^k columns and
// just enough rows to hold `size` cells (Black and Rogaway, "Ciphers with arbitrary finite
// domains", CT-RSA 2002, generalised Feistel), so that cycle walking is rare. O(1) time and memory
// in both directions.
class KeyedPermutation {
 public:
  // Equal (size, key) give equal permutations. 0 < size < 2^62.
  KeyedPermutation(std::uint64_t size, std::uint64_t key);
  std::uint64_t size() const { return size_; }
  std::uint64_t operator()(std::uint64_t position) const;  // position < size
  std::uint64_t inverse(std::uint64_t value) const;        // value < size
 private:
  std::uint64_t size_;
  unsigned column_bits_;
  std::uint32_t rows_;
  std::array<std::uint32_t, 6> round_keys_;
};

// Mixes words into one key (SplitMix64 chain); the order of the words matters.
std::uint64_t mix_key(std::uint64_t a, std::uint64_t b, std::uint64_t c = 0, std::uint64_t d = 0);

}  // namespace bit::pipeline
