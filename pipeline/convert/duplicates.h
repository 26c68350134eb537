// Images that are equal in every pixel, found by the hashes of their pixels.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "pipeline/convert/normalize_image.h"

namespace bit::pipeline {

// The images of each group that share a hash, in ascending order, the groups in the order of their
// first image. `scan` calls what it is given once for each image, in any order; it is called as
// often as `memory_bytes` asks for. An image with the hash {0, 0} is like no other.
std::vector<std::vector<std::uint64_t>> find_duplicates(
    std::uint64_t images,
    const std::function<void(const std::function<void(std::uint64_t image, ContentHash)>&)>& scan,
    std::uint64_t memory_bytes = std::uint64_t{1} << 30);

}  // namespace bit::pipeline
