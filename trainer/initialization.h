// Random weights as a function of (seed, parameter, element): the same on every machine, for any
// number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "trainer/resnet_shape.h"

namespace bit::trainer {

// Each fills `kernel` [O, I, H, W] fp32, contiguous. `parameter` is its position in the network.

// N(0, 2 / (O * H * W)): He et al. 2015, fan-out; timm's BiT.
void he_normal(at::Tensor kernel, std::uint64_t seed, std::uint64_t parameter);
// Uniform with variance 2 / ((I + O) * H * W): Glorot and Bengio 2010; Keras's default.
void glorot_uniform(at::Tensor kernel, std::uint64_t seed, std::uint64_t parameter);
// A normal cut at two of its deviations, with variance 1 / (I * H * W) after the cut: flax's
// default.
void lecun_normal(at::Tensor kernel, std::uint64_t seed, std::uint64_t parameter);
// N(0, 0.01^2): timm's head.
void small_normal(at::Tensor kernel, std::uint64_t seed, std::uint64_t parameter);

// The one of the first three that `kind` names.
void initialize_kernel(KernelInitialization kind, at::Tensor kernel, std::uint64_t seed,
                       std::uint64_t parameter);

}  // namespace bit::trainer
