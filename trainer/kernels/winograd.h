// 3x3 convolutions of stride 1 and padding 1 in fp32 with a quarter of the multiplications: tiles
// of 4x4 output pixels become 6x6 products a channel (Winograd's minimal filtering F(4x4, 3x3);
// Lavin and Gray, CVPR 2016). The points are 0, +-sqrt(1/2), +-sqrt(2) and infinity instead of the
// usual 0, +-1, +-2: the rounding error halves, to about 1e-6 of the largest output.
#pragma once

#include <ATen/core/Tensor.h>

namespace bit::trainer::kernels {

// Channels-last fp32 on the CPU, [N, I, H, W] and a kernel [O, I, 3, 3], I and O multiples of 16.
at::Tensor winograd(const at::Tensor& x, const at::Tensor& kernel);
at::Tensor winograd_dx(const at::Tensor& dy, const at::Tensor& kernel);
at::Tensor winograd_dkernel(const at::Tensor& x, const at::Tensor& dy);

}  // namespace bit::trainer::kernels
