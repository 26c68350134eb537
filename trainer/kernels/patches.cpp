#include "trainer/kernels/patches.h"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trainer/kernels/patches.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "trainer/kernels/vector_io.h"

HWY_BEFORE_NAMESPACE();
namespace bit::trainer::kernels::HWY_NAMESPACE {

// One pixel of the image: the sum of what all patches that hold it say of it.
template <typename T>
void add_pixel(const PatchShape& shape, const T* patches, std::int64_t y, std::int64_t x, T* to) {
  const Floats d;
  const std::int64_t taps = shape.kernel * shape.kernel;
  for_each_vector(shape.channels, [&](std::int64_t c, auto extent) {
    Vector sum = hn::Zero(d);
    for (std::int64_t ky = 0; ky < shape.kernel; ++ky) {
      const std::int64_t row = y + shape.padding - ky;
      if (row < 0 || row % shape.stride != 0 || row / shape.stride >= shape.out_height) continue;
      for (std::int64_t kx = 0; kx < shape.kernel; ++kx) {
        const std::int64_t column = x + shape.padding - kx;
        if (column < 0 || column % shape.stride != 0) continue;
        if (column / shape.stride >= shape.out_width) continue;
        const std::int64_t patch = row / shape.stride * shape.out_width + column / shape.stride;
        const std::int64_t tap = ky * shape.kernel + kx;
        sum = hn::Add(sum, load(d, patches + (patch * taps + tap) * shape.channels + c, extent));
      }
    }
    store(d, sum, to + c, extent);
  });
}

void add_pixel_f32(const PatchShape& shape, const float* patches, std::int64_t y, std::int64_t x,
                   float* to) {
  add_pixel(shape, patches, y, x, to);
}
void add_pixel_bf16(const PatchShape& shape, const c10::BFloat16* patches, std::int64_t y,
                    std::int64_t x, c10::BFloat16* to) {
  add_pixel(shape, patches, y, x, to);
}

}  // namespace bit::trainer::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bit::trainer::kernels {

HWY_EXPORT(add_pixel_f32);
HWY_EXPORT(add_pixel_bf16);

namespace {

auto add_pixel_for(float /*T*/) { return HWY_DYNAMIC_DISPATCH(add_pixel_f32); }
auto add_pixel_for(c10::BFloat16 /*T*/) { return HWY_DYNAMIC_DISPATCH(add_pixel_bf16); }

// A row of a patch's taps is consecutive in the image: [first, first + kernel) pixels of row y.
template <typename T>
void gather_taps(const PatchShape& shape, const T* image, std::int64_t y, std::int64_t first,
                 T* to) {
  const std::int64_t begin = std::clamp<std::int64_t>(-first, 0, shape.kernel);
  const std::int64_t end = std::clamp<std::int64_t>(shape.width - first, begin, shape.kernel);
  if (y < 0 || y >= shape.height || begin == end) {
    std::fill_n(to, shape.kernel * shape.channels, T(0));
    return;
  }
  const T* from = image + (y * shape.width + first) * shape.channels;
  std::fill_n(to, begin * shape.channels, T(0));
  std::copy(from + begin * shape.channels, from + end * shape.channels,
            to + begin * shape.channels);
  std::fill(to + end * shape.channels, to + shape.kernel * shape.channels, T(0));
}

}  // namespace

template <typename T>
void gather_patches(const PatchShape& shape, const T* image, T* patches) {
  const std::int64_t taps = shape.kernel * shape.channels;
  const std::int64_t pixels = shape.height * shape.width * shape.channels;
  at::parallel_for(
      0, shape.images * shape.out_height, 4, [&](std::int64_t begin, std::int64_t end) {
        T* to = patches + begin * shape.out_width * shape.kernel * taps;
        for (std::int64_t row = begin; row < end; ++row) {
          const T* from = image + row / shape.out_height * pixels;
          const std::int64_t y = row % shape.out_height * shape.stride - shape.padding;
          for (std::int64_t column = 0; column < shape.out_width; ++column) {
            for (std::int64_t ky = 0; ky < shape.kernel; ++ky, to += taps) {
              gather_taps(shape, from, y + ky, column * shape.stride - shape.padding, to);
            }
          }
        }
      });
}

template <typename T>
void add_patches(const PatchShape& shape, const T* patches, T* image) {
  const std::int64_t per_image =
      shape.out_height * shape.out_width * shape.kernel * shape.kernel * shape.channels;
  const auto add_pixel = add_pixel_for(T());
  at::parallel_for(0, shape.images * shape.height, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const T* from = patches + row / shape.height * per_image;
      for (std::int64_t x = 0; x < shape.width; ++x) {
        add_pixel(shape, from, row % shape.height, x,
                  image + (row * shape.width + x) * shape.channels);
      }
    }
  });
}

template void gather_patches(const PatchShape&, const float*, float*);
template void gather_patches(const PatchShape&, const c10::BFloat16*, c10::BFloat16*);
template void add_patches(const PatchShape&, const float*, float*);
template void add_patches(const PatchShape&, const c10::BFloat16*, c10::BFloat16*);

}  // namespace bit::trainer::kernels
#endif  // HWY_ONCE
