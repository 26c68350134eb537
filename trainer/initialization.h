// Random weights as a function of (seed, parameter, element): the same on every machine, for any
// number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace bit::trainer {

// Fills `kernel` [O, I, H, W] fp32 with N(0, 2 / (O * H * W)): He et al. 2015, fan-out. `parameter`
// is its position in the network.
void he_normal(at::Tensor kernel, std::uint64_t seed, std::uint64_t parameter);

}  // namespace bit::trainer
