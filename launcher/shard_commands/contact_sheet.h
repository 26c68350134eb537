// A sample of a split's records as small pictures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "storage/dataset.h"

namespace bit::launcher {

struct Tile {
  std::uint64_t record = 0;  // of the split
  std::string key;
  std::vector<std::int32_t> labels;     // as the index has them
  std::uint32_t width = 0, height = 0;  // of the image, pixels
  std::vector<std::byte> jpeg;          // sides of at most kTileSide
  std::string problem;                  // why there is no picture; empty when there is one
};
inline constexpr std::uint32_t kTileSide = 160;  // pixels

// `count` records (all, if there are no more) at equal distances, the first included: the same for
// the same dataset. Records that are damaged are tiles with a problem. Throws
// storage::StorageError.
std::vector<Tile> contact_sheet(const storage::Dataset& dataset, std::uint64_t count);

// The data of a record. Throws storage::StorageError; storage::DataError naming file and offset.
std::vector<std::byte> read_record(const storage::Dataset& dataset, std::uint64_t record);

}  // namespace bit::launcher
