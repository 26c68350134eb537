// The coded bytes of a scan, searched and unstuffed many at a time (ITU-T T.81 §B.1.1.5, §F.1.2.3).
// Compiled for every vector instruction set that Highway knows and chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bit::pipeline {

// Where the restart intervals of `coded` begin: starts[0] is 0, starts[i] the byte after the i-th
// restart marker. The search ends at any other marker, at the end of the bytes, or when there are
// `most` intervals, at least one. The capacity of `starts` only grows.
void find_restarts(std::span<const std::uint8_t> coded, std::size_t most,
                   std::vector<std::uint32_t>& starts);

inline constexpr std::size_t kUnstuffSlack = 64;  // bytes after the output that may be overwritten

// Copies coded bytes up to the next marker or the end, without the zeros after 0xFF, to `out`,
// which has room for coded.size() + kUnstuffSlack. `readable` bytes from the first on, those behind
// the last included, may be read. Returns how many were written; `taken` says how many were used.
std::size_t unstuff(std::span<const std::uint8_t> coded, std::size_t readable, std::uint8_t* out,
                    std::size_t& taken);

}  // namespace bit::pipeline
