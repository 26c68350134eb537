#include "trainer/kernels/convolution.h"

#include <ATen/ATen.h>
#include <hwy/targets.h>

#include <array>
#include <cstdint>

#include "trainer/kernels/patches.h"
#include "trainer/kernels/winograd.h"

namespace bit::trainer::kernels {
namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

std::int64_t pixels(const at::Tensor& x) { return x.size(2) * x.size(3); }

// How a convolution, or one of its gradients, is computed.
enum class Way {
  kMatrix,    // 1x1: a matrix product over pixels
  kWinograd,  // 3x3, stride 1, fp32
  kPatches,   // a matrix product over copies of what every output pixel reads
  kLibrary,   // oneDNN
};

struct Ways {
  Way forward, dx, dkernel;
};

// TABLE
Ways choose(const at::Tensor& kernel, const at::Tensor& y, ConvolutionStep step) {
  const std::int64_t width = kernel.size(2);
  if (width == 1) return {Way::kMatrix, Way::kMatrix, Way::kMatrix};
  if (width != 3 || step.padding != 1 || kernel.size(1) % 16 != 0 || kernel.size(0) % 16 != 0) {
    return {Way::kLibrary, Way::kLibrary, Way::kLibrary};
  }
  const bool bf16 = kernel.scalar_type() == at::kBFloat16;
  if (pixels(y) <= 16) return {Way::kPatches, Way::kPatches, Way::kPatches};
  if (step.stride == 1 && !bf16) return {Way::kWinograd, Way::kWinograd, Way::kWinograd};
  if (pixels(y) <= 64) {
    const Way both = bf16 && step.stride == 2 ? Way::kPatches : Way::kLibrary;
    return {both, both, Way::kPatches};
  }
  return {Way::kLibrary, Way::kLibrary, Way::kLibrary};
}

at::Tensor empty_images(const at::Tensor& like, at::IntArrayRef sizes) {
  return at::empty(sizes, like.options(), kChannelsLast);
}

// The pixels as rows, [N * H * W, C]: a view where the memory allows it, else a copy.
at::Tensor rows(const at::Tensor& x) { return x.permute({0, 2, 3, 1}).reshape({-1, x.size(1)}); }

// Images of the sizes of `like` out of such rows: a view.
at::Tensor images(const at::Tensor& rows, const at::Tensor& like) {
  return rows.view({like.size(0), like.size(2), like.size(3), -1}).permute({0, 3, 1, 2});
}

at::Tensor pointwise(const at::Tensor& x, const at::Tensor& kernel, at::Tensor y) {
  at::Tensor y_rows = rows(y);
  at::mm_out(y_rows, rows(x), kernel.flatten(1).t());
  return y;
}

// Every stride-th pixel in both directions: a view.
at::Tensor strided(const at::Tensor& x, std::int64_t stride) {
  return x.slice(2, 0, x.size(2), stride).slice(3, 0, x.size(3), stride);
}

at::Tensor pointwise_dx(const at::Tensor& x, const at::Tensor& kernel, const at::Tensor& dy,
                        std::int64_t stride) {
  const at::Tensor met = images(at::mm(rows(dy), kernel.flatten(1)), dy);
  if (stride == 1) return met;
  at::Tensor dx = empty_images(x, x.sizes()).zero_();
  strided(dx, stride).copy_(met);
  return dx;
}

PatchShape patch_shape(const at::Tensor& x, const at::Tensor& kernel, const at::Tensor& y,
                       ConvolutionStep step) {
  return {x.size(0), x.size(2),      x.size(3),   x.size(1),   y.size(2),
          y.size(3), kernel.size(2), step.stride, step.padding};
}

// Calls `work` with a null pointer of the element type, fp32 or bf16.
template <typename Work>
void for_element_type(const at::Tensor& tensor, Work work) {
  if (tensor.scalar_type() == at::kBFloat16) {
    work(static_cast<const at::BFloat16*>(nullptr));
  } else {
    work(static_cast<const float*>(nullptr));
  }
}

// [N * h * w, K * K * I] of the output's pixels.
at::Tensor patches(const at::Tensor& x, const PatchShape& shape) {
  const at::Tensor result = at::empty({shape.images * shape.out_height * shape.out_width,
                                       shape.kernel * shape.kernel * shape.channels},
                                      x.options());
  for_element_type(x, [&]<typename T>(const T*) {
    gather_patches(shape, x.const_data_ptr<T>(), result.mutable_data_ptr<T>());
  });
  return result;
}

// [O, K * K * I]: a view.
at::Tensor kernel_rows(const at::Tensor& kernel) { return kernel.permute({0, 2, 3, 1}).flatten(1); }

at::Tensor by_patches(const at::Tensor& x, const at::Tensor& kernel, ConvolutionStep step,
                      const at::Tensor& y) {
  at::Tensor y_rows = rows(y);
  at::mm_out(y_rows, patches(x, patch_shape(x, kernel, y, step)), kernel_rows(kernel).t());
  return y;
}

at::Tensor dx_by_patches(const at::Tensor& x, const at::Tensor& kernel, const at::Tensor& dy,
                         ConvolutionStep step) {
  const at::Tensor dpatches = at::mm(rows(dy), kernel_rows(kernel));
  at::Tensor dx = empty_images(x, x.sizes());
  for_element_type(x, [&]<typename T>(const T*) {
    add_patches(patch_shape(x, kernel, dy, step), dpatches.const_data_ptr<T>(),
                dx.mutable_data_ptr<T>());
  });
  return dx;
}

at::Tensor dkernel_by_patches(const at::Tensor& x, const at::Tensor& kernel, const at::Tensor& dy,
                              ConvolutionStep step) {
  const std::int64_t width = kernel.size(2);
  return at::mm(rows(dy).t(), patches(x, patch_shape(x, kernel, dy, step)))
      .view({kernel.size(0), width, width, kernel.size(1)})
      .permute({0, 3, 1, 2});
}

// oneDNN's, asked for one or both of the gradients.
ConvolutionGradients library_backward(const at::Tensor& x, const at::Tensor& kernel,
                                      const at::Tensor& dy, ConvolutionStep step, bool needs_dx,
                                      bool needs_dkernel) {
  const auto gradients = at::convolution_backward(
      dy, x, kernel, /*bias_sizes=*/at::OptionalIntArrayRef(), {step.stride, step.stride},
      {step.padding, step.padding}, /*dilation=*/{1, 1}, /*transposed=*/false,
      /*output_padding=*/{0, 0}, /*groups=*/1, std::array<bool, 3>{needs_dx, needs_dkernel, false});
  return {std::get<0>(gradients), std::get<1>(gradients)};
}

}  // namespace

at::ScalarType convolution_type(at::ScalarType activations) {
  const bool has_bf16 = (hwy::SupportedTargets() & HWY_AVX3) != 0;
  return activations == at::kBFloat16 && has_bf16 ? at::kBFloat16 : at::kFloat;
}

at::Tensor convolve(const at::Tensor& images, const at::Tensor& kernel, ConvolutionStep step) {
  const at::Tensor x = images.to(kernel.scalar_type()).contiguous(kChannelsLast);
  const auto out = [&](std::int64_t axis) {
    return (x.size(axis) + 2 * step.padding - kernel.size(axis)) / step.stride + 1;
  };
  const at::Tensor y = empty_images(x, {x.size(0), kernel.size(0), out(2), out(3)});
  const auto result = [&]() -> at::Tensor {
    switch (choose(kernel, y, step).forward) {
      case Way::kMatrix:
        return pointwise(strided(x, step.stride), kernel, y);
      case Way::kWinograd:
        return winograd(x, kernel);
      case Way::kPatches:
        return by_patches(x, kernel, step, y);
      case Way::kLibrary:
        break;
    }
    return at::conv2d(x, kernel, {}, step.stride, step.padding);
  };
  return result().to(images.scalar_type());
}

ConvolutionGradients convolve_backward(const at::Tensor& images, const at::Tensor& kernel,
                                       const at::Tensor& output_gradient, ConvolutionStep step,
                                       bool needs_dx) {
  const at::Tensor x = images.to(kernel.scalar_type()).contiguous(kChannelsLast);
  const at::Tensor dy = output_gradient.to(kernel.scalar_type()).contiguous(kChannelsLast);
  const Ways ways = choose(kernel, dy, step);
  const bool library_dx = needs_dx && ways.dx == Way::kLibrary;
  const bool library_dkernel = ways.dkernel == Way::kLibrary;
  ConvolutionGradients gradients;
  if (library_dx || library_dkernel) {
    gradients = library_backward(x, kernel, dy, step, library_dx, library_dkernel);
  }
  if (ways.dkernel == Way::kMatrix) {
    gradients.dkernel = at::mm(rows(dy).t(), rows(strided(x, step.stride))).view(kernel.sizes());
  } else if (ways.dkernel == Way::kWinograd) {
    gradients.dkernel = winograd_dkernel(x, dy);
  } else if (ways.dkernel == Way::kPatches) {
    gradients.dkernel = dkernel_by_patches(x, kernel, dy, step);
  }
  if (!needs_dx) return gradients;
  if (ways.dx == Way::kMatrix) {
    gradients.dx = pointwise_dx(x, kernel, dy, step.stride);
  } else if (ways.dx == Way::kWinograd) {
    gradients.dx = winograd_dx(dy, kernel);
  } else if (ways.dx == Way::kPatches) {
    gradients.dx = dx_by_patches(x, kernel, dy, step);
  }
  gradients.dx = gradients.dx.to(images.scalar_type());
  return gradients;
}

}  // namespace bit::trainer::kernels
