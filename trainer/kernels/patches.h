// What every output pixel of a convolution reads, as the rows of a matrix ("im2col"), and the sum
// of such rows back into an image: with them a convolution is one matrix product. On the CPU, in
// channels-last memory, fp32 or bf16.
#pragma once

#include <cstdint>

namespace bit::trainer::kernels {

struct PatchShape {
  std::int64_t images, height, width, channels;  // of the image
  std::int64_t out_height, out_width;            // of the convolution's result
  std::int64_t kernel, stride, padding;
};

// T is float or c10::BFloat16. image: [images, height, width, channels]; patches: [images,
// out_height, out_width, kernel, kernel, channels]. Zeros outside the image.
template <typename T>
void gather_patches(const PatchShape& shape, const T* image, T* patches);
// Added up in fp32, rounded once.
template <typename T>
void add_patches(const PatchShape& shape, const T* patches, T* image);

}  // namespace bit::trainer::kernels
