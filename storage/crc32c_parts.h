// The two ways to compute CRC-32C between which crc32c() chooses, for it and for the tests that
// compare them. Exactly one of crc32c_sse42.cpp and no_crc32c_sse42.cpp is linked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace bit::storage {

// Slicing by 8 (Kounavis and Berry, "A systematic approach to building high performance
// software-based CRC generators", 2005). Any machine.
std::uint32_t crc32c_portable(std::span<const std::byte> bytes, std::uint32_t crc);

// Whether this CPU has the crc32 instruction, that is whether crc32c_instruction may be called.
bool has_crc32c_instruction();
std::uint32_t crc32c_instruction(std::span<const std::byte> bytes, std::uint32_t crc);

inline constexpr std::uint32_t kCrc32cPolynomial = 0x82F63B78u;  // reflected: bit 31 is x^0

}  // namespace bit::storage
