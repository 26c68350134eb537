// Machines that are not x86-64: CRC-32C comes from the portable tables.
#include "storage/crc32c_parts.h"

namespace bit::storage {

bool has_crc32c_instruction() { return false; }

std::uint32_t crc32c_instruction(std::span<const std::byte> bytes, std::uint32_t crc) {
  return crc32c_portable(bytes, crc);
}

}  // namespace bit::storage
