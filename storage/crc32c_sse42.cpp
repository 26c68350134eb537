// CRC-32C with the SSE4.2 instruction. It takes 3 cycles and starts every cycle, so large inputs
// are cut into three streams that run together; a stream's state is moved over the bytes of the
// next by one multiplication in GF(2)[x], from tables (Gopal et al., "Fast CRC computation for
// iSCSI polynomial using CRC32 instruction", Intel, 2011).
#include <nmmintrin.h>

#include <array>
#include <cstring>

#include "storage/crc32c_parts.h"

namespace bit::storage {
namespace {

// a * b modulo the polynomial, reflected.
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) product ^= b;
    b = (b >> 1) ^ ((b & 1) != 0 ? kCrc32cPolynomial : 0);
  }
  return product;
}

// Moves a state over `Bytes` zero bytes: multiplies it by x^(8 * Bytes). Bytes is a power of two.
template <std::size_t Bytes>
struct Shift {
  static constexpr std::array<std::array<std::uint32_t, 256>, 4> make() {
    std::uint32_t power = 1u << 30;  // x
    for (std::size_t exponent = 1; exponent < 8 * Bytes; exponent *= 2)
      power = multiply(power, power);
    std::array<std::array<std::uint32_t, 256>, 4> tables{};
    for (std::uint32_t k = 0; k < 4; ++k) {
      for (std::uint32_t byte = 0; byte < 256; ++byte) {
        tables[k][byte] = multiply(byte << (8 * k), power);
      }
    }
    return tables;
  }
  static constexpr auto kTables = make();

  static std::uint32_t apply(std::uint32_t state) {
    return kTables[0][state & 0xFF] ^ kTables[1][(state >> 8) & 0xFF] ^
           kTables[2][(state >> 16) & 0xFF] ^ kTables[3][state >> 24];
  }
};

std::uint64_t load_word(const std::byte* from) {
  std::uint64_t word = 0;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

// Takes 3 * Bytes at a time off the front of `bytes`.
template <std::size_t Bytes>
[[gnu::target("sse4.2")]] std::uint64_t three_streams(std::span<const std::byte>& bytes,
                                                      std::uint64_t state) {
  while (bytes.size() >= 3 * Bytes) {
    const std::byte* from = bytes.data();
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < Bytes; i += 8) {
      state = _mm_crc32_u64(state, load_word(from + i));
      second = _mm_crc32_u64(second, load_word(from + Bytes + i));
      third = _mm_crc32_u64(third, load_word(from + 2 * Bytes + i));
    }
    state = Shift<Bytes>::apply(static_cast<std::uint32_t>(state)) ^ second;
    state = Shift<Bytes>::apply(static_cast<std::uint32_t>(state)) ^ third;
    bytes = bytes.subspan(3 * Bytes);
  }
  return state;
}

}  // namespace

bool has_crc32c_instruction() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") != 0;
}

[[gnu::target("sse4.2")]] std::uint32_t crc32c_instruction(std::span<const std::byte> bytes,
                                                           std::uint32_t crc) {
  std::uint64_t state = ~crc;
  state = three_streams<8192>(bytes, state);
  state = three_streams<256>(bytes, state);
  while (bytes.size() >= 8) {
    state = _mm_crc32_u64(state, load_word(bytes.data()));
    bytes = bytes.subspan(8);
  }
  auto last = static_cast<std::uint32_t>(state);
  for (const std::byte byte : bytes) last = _mm_crc32_u8(last, static_cast<unsigned char>(byte));
  return ~last;
}

}  // namespace bit::storage
