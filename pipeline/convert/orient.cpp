#include "pipeline/convert/orient.h"

#include <turbojpeg.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <type_traits>

namespace bit::pipeline {
namespace {

struct HandleDestroy {
  void operator()(void* handle) const { tjDestroy(handle); }
};
struct BytesFree {
  void operator()(unsigned char* bytes) const { tjFree(bytes); }
};

constexpr std::array<int, 9> kOperation = {TJXOP_NONE,   TJXOP_NONE,       TJXOP_HFLIP,
                                           TJXOP_ROT180, TJXOP_VFLIP,      TJXOP_TRANSPOSE,
                                           TJXOP_ROT90,  TJXOP_TRANSVERSE, TJXOP_ROT270};

}  // namespace

RgbImage orient(const RgbImage& image, unsigned orientation) {
  const bool swapped = orientation >= 5;
  RgbImage out{swapped ? image.height : image.width, swapped ? image.width : image.height, {}};
  out.pixels.resize(image.pixels.size());
  // Pixel (x, y) comes from the column that is x or y, counted from the left or the right, and the
  // row likewise.
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  std::uint8_t* pixel = out.pixels.data();
  for (std::size_t y = 0; y < out.height; ++y) {
    for (std::size_t x = 0; x < out.width; ++x) {
      std::size_t column = swapped ? y : x, row = swapped ? x : y;
      if (from_right) column = image.width - 1 - column;
      if (from_bottom) row = image.height - 1 - row;
      const std::uint8_t* source = &image.pixels[(row * image.width + column) * 3];
      for (int c = 0; c < 3; ++c) *pixel++ = source[c];
    }
  }
  return out;
}

std::optional<std::vector<std::byte>> orient_jpeg(std::span<const std::byte> jpeg,
                                                  unsigned orientation) {
  const std::unique_ptr<void, HandleDestroy> handle(tjInitTransform());
  if (handle == nullptr) throw std::runtime_error(tjGetErrorStr2(nullptr));
  tjtransform transform{};
  transform.op = kOperation.at(orientation);
  transform.options = TJXOPT_PERFECT | TJXOPT_COPYNONE;
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const int status = tjTransform(handle.get(), reinterpret_cast<const unsigned char*>(jpeg.data()),
                                 jpeg.size(), 1, &bytes, &size, &transform, 0);
  const std::unique_ptr<unsigned char, BytesFree> owner(bytes);
  if (status != 0) return {};
  const auto* begin = reinterpret_cast<const std::byte*>(bytes);
  return std::vector<std::byte>(begin, begin + size);
}

}  // namespace bit::pipeline
