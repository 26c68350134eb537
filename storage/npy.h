// The header of .npy files, versions 1 to 3: which array follows
// (numpy/lib/format.py, "Format Version 1.0").
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/safetensors.h"

namespace bit::storage {

struct NpyHeader {
  std::string type;            // as written: "<f4"
  std::optional<DType> dtype;  // nullopt: none that is read here
  std::vector<std::int64_t> shape;
  bool fortran_order = false;  // the first index runs fastest
  std::size_t bytes = 0;       // of the header; the elements follow
};

// Longest header that is read; numpy itself refuses those above 10,000 bytes.
inline constexpr std::size_t kMaxNpyHeaderBytes = 65536;

// How long the header is of which these are the first kNpyPrefixBytes bytes, or more. Throws
// DataError with the reason alone, for more than kMaxNpyHeaderBytes too.
inline constexpr std::size_t kNpyPrefixBytes = 12;
std::size_t npy_header_bytes(std::span<const std::byte> begin);

// Of the file that begins with `file`, of which the bytes of the header are enough. Types:
// little-endian floats of 2, 4 and 8 bytes, integers of 4 and 8, bytes, and bfloat16 as ml_dtypes
// writes it ("V2"); others have no dtype. Throws DataError with the reason alone.
NpyHeader parse_npy_header(std::span<const std::byte> file);

// A header of version 1, padded so that the elements start at a multiple of
// 64 bytes. For an array in row-major order. Throws std::invalid_argument for a type that numpy has
// no name for.
std::string make_npy_header(DType dtype, std::span<const std::int64_t> shape);

}  // namespace bit::storage
