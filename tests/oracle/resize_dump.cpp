// Decodes and resizes one image for the resize_*.py, which compare with other people's resize.
// resize_dump FILE CROP_X CROP_Y CROP_W CROP_H RESIZED_W RESIZED_H OFFSET_X OFFSET_Y FLIP SIZE
//   ANTIALIAS
// FILE is a JPEG; standard output gets [SIZE, SIZE, 3] uint8.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "pipeline/jpeg.h"

using bit::pipeline::ResizeFilter;

int main(int argc, char** argv) try {
  if (argc != 13) {
    std::fprintf(stderr, "usage: resize_dump FILE and eleven numbers\n");
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::uint32_t numbers[11];
  for (int i = 0; i < 11; ++i) numbers[i] = static_cast<std::uint32_t>(std::stoul(argv[2 + i]));
  const auto& [x, y, width, height, resized_width, resized_height, offset_x, offset_y, flip, size,
               antialias] = numbers;
  std::vector<std::uint8_t> out(std::size_t{size} * size * 3);
  bit::pipeline::JpegDecoder decoder;
  decoder.open(std::as_bytes(std::span(bytes)));
  decoder.decode({{x, y, width, height},
                  resized_width,
                  resized_height,
                  offset_x,
                  offset_y,
                  flip != 0,
                  antialias != 0 ? ResizeFilter::kTriangle : ResizeFilter::kBilinear},
                 size, out);
  return std::fwrite(out.data(), 1, out.size(), stdout) == out.size() ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
