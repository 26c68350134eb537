// Signatures and sizes of the headers of a zip archive, for its reader and its writer.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bit::storage::zip {

inline constexpr std::uint32_t kLocalSignature = 0x04034b50;
inline constexpr std::uint32_t kCentralSignature = 0x02014b50;
inline constexpr std::uint32_t kEndSignature = 0x06054b50;
inline constexpr std::uint32_t kEnd64Signature = 0x06064b50;
inline constexpr std::uint32_t kLocator64Signature = 0x07064b50;
inline constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22;
inline constexpr std::size_t kEnd64Bytes = 56, kLocator64Bytes = 20;
inline constexpr std::uint16_t kExtra64 = 0x0001;
inline constexpr std::uint16_t kFull16 = 0xFFFF;  // "see the field of 64 bits"
inline constexpr std::uint32_t kFull32 = 0xFFFFFFFF;

}  // namespace bit::storage::zip
