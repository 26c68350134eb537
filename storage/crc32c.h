// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), with the CPU's instruction where there is
// one, and the masking that TFRecord applies to stored checksums
// (tensorflow/core/lib/hash/crc32c.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace bit::storage {

// Checksum of `bytes` appended to bytes whose checksum is `crc` (0 for none).
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0);

constexpr std::uint32_t mask_crc32c(std::uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}
constexpr std::uint32_t unmask_crc32c(std::uint32_t masked) {
  const std::uint32_t rotated = masked - 0xA282EAD8u;
  return (rotated >> 17) | (rotated << 15);
}

}  // namespace bit::storage
