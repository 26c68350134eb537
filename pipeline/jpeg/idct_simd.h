// The accurate integer inverse DCT (libjpeg's "islow": Loeffler, Ligtenberg and Moschytz 1989,
// 13-bit constants) and its reduced forms that give an image of half or a quarter of the size
// (libjpeg's jidctred), four blocks side by side. Every step rounds, wraps and saturates as
// libjpeg-turbo's vector code does, so that the samples are the same whatever the coefficients.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bit::pipeline {

// Four blocks of a component that lie side by side: row r of block b starts at coefficient
// 32 r + 8 b. So a row of a tile becomes a row of samples.
inline constexpr std::size_t kTileBlocks = 4;
inline constexpr std::size_t kTileCoefficients = kTileBlocks * 64;
inline constexpr std::size_t kTileRow = kTileBlocks * 8;

// tiles [count, kTileCoefficients], 64-byte aligned: quantised coefficients; quantization [64],
// 16-byte aligned, by row; `size`: samples of a block across and down, 8, 4 or 2; out: `size` rows,
// `stride` bytes apart, of count * 4 * size samples. The coefficients are zero afterwards, ready
// for the next. False when one is larger than any encoder's: libjpeg is to judge it.
bool inverse_dct(std::int16_t* tiles, std::size_t count, const std::int16_t* quantization,
                 std::uint32_t size, std::uint8_t* out, std::size_t stride);

}  // namespace bit::pipeline
