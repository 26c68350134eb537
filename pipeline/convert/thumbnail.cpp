// libjpeg reports errors by longjmp: both ends of the jump are inside compress(), whose frame holds
// nothing that a jump could leak.
#include "pipeline/convert/thumbnail.h"

#include <jpeglib.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>

#include "pipeline/resize.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

constexpr int kQuality = 85;

// The middle axis of `values` [outer, input, inner] filtered down to `samples`.
std::vector<std::uint8_t> shrink_axis(const std::vector<std::uint8_t>& values, std::size_t outer,
                                      std::uint32_t input, std::uint32_t samples,
                                      std::size_t inner) {
  AxisTaps taps;
  taps.compute(input, samples, 0, samples);
  std::vector<std::uint8_t> result(outer * samples * inner);
  for (std::size_t o = 0; o < outer; ++o) {
    for (std::size_t s = 0; s < samples; ++s) {
      const std::uint8_t* from = &values[(o * input + taps.first[s]) * inner];
      for (std::size_t i = 0; i < inner; ++i) {
        std::int64_t sum = kWeightOne / 2;
        for (std::size_t tap = 0; tap < taps.count[s]; ++tap) {
          sum += std::int64_t{taps.weights[s * taps.stride + tap]} * from[tap * inner + i];
        }
        result[(o * samples + s) * inner + i] =
            static_cast<std::uint8_t>(std::min<std::int64_t>(sum >> kWeightBits, 255));
      }
    }
  }
  return result;
}

// What libjpeg is told to call on errors, with a place to jump to; `base` is first, so that a
// pointer to it is a pointer to this.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

// Trivial on purpose: a jump passes it by.
struct Compressor {
  ErrorManager errors;
  jpeg_compress_struct target;
  unsigned char* bytes;  // malloc'ed by jpeg_mem_dest
  unsigned long size;
};

[[noreturn]] void jump_out(j_common_ptr info) {
  auto& errors = *reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, errors.message);
  std::longjmp(errors.jump, 1);
}

// False when libjpeg gave up; errors.message says why.
bool compress(Compressor& compressor, const RgbImage& image) {
  auto& target = compressor.target;
  target.err = jpeg_std_error(&compressor.errors.base);
  compressor.errors.base.error_exit = jump_out;
  if (setjmp(compressor.errors.jump) != 0) return false;
  jpeg_create_compress(&target);
  jpeg_mem_dest(&target, &compressor.bytes, &compressor.size);
  target.image_width = image.width;
  target.image_height = image.height;
  target.input_components = 3;
  target.in_color_space = JCS_RGB;
  jpeg_set_defaults(&target);
  jpeg_set_quality(&target, kQuality, TRUE);
  target.optimize_coding = TRUE;
  jpeg_start_compress(&target, TRUE);
  while (target.next_scanline < target.image_height) {
    const std::size_t row = std::size_t{target.next_scanline} * image.width * 3;
    auto* pixels = const_cast<JSAMPROW>(image.pixels.data() + row);  // read only
    jpeg_write_scanlines(&target, &pixels, 1);
  }
  jpeg_finish_compress(&target);
  return true;
}

// Destroys what compress() left, whichever way it ended.
class CompressorGuard {
 public:
  explicit CompressorGuard(Compressor& compressor) : compressor_(compressor) {}
  ~CompressorGuard() {
    jpeg_destroy_compress(&compressor_.target);
    std::free(compressor_.bytes);
  }
  CompressorGuard(const CompressorGuard&) = delete;
  CompressorGuard& operator=(const CompressorGuard&) = delete;

 private:
  Compressor& compressor_;
};

}  // namespace

RgbImage shrink(const RgbImage& image, std::uint32_t side) {
  const std::uint32_t longer = std::max(image.width, image.height);
  if (longer <= side) return image;
  const auto scaled = [&](std::uint32_t length) {
    const std::uint64_t rounded = (std::uint64_t{length} * side + longer / 2) / longer;
    return static_cast<std::uint32_t>(std::max<std::uint64_t>(1, rounded));
  };
  RgbImage small{scaled(image.width), scaled(image.height), {}};
  small.pixels = shrink_axis(image.pixels, image.height, image.width, small.width, 3);
  small.pixels =
      shrink_axis(small.pixels, 1, image.height, small.height, std::size_t{small.width} * 3);
  return small;
}

std::vector<std::byte> thumbnail(const RgbImage& image, std::uint32_t side) {
  const RgbImage small = shrink(image, side);
  Compressor compressor{};
  const CompressorGuard guard(compressor);
  if (!compress(compressor, small)) throw storage::DataError(compressor.errors.message);
  const auto* bytes = reinterpret_cast<const std::byte*>(compressor.bytes);
  return {bytes, bytes + compressor.size};
}

}  // namespace bit::pipeline
