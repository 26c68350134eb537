// How a camera was held, as its JPEG says it (Exif 2.3 §4.6.4; orientation: TIFF 6.0, tag 274).
#pragma once

#include <cstddef>
#include <span>

namespace bit::pipeline {

// 1 to 8; 1, upright, also when the file says nothing or nothing that makes sense: metadata does
// not spoil a picture. The others are what has to be done to the stored picture to see it upright:
//   2 mirror left to right           3 turn by 180 degrees     4 mirror top to bottom
//   5 swap rows and columns          6 turn right by 90        8 turn left by 90
//   7 swap them along the other diagonal
// Any bytes may be given; at most one pass over them, no memory.
unsigned exif_orientation(std::span<const std::byte> jpeg);

}  // namespace bit::pipeline
