// A batch of the pipeline as LibTorch sees it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "pipeline/loader.h"

namespace bit::trainer {

// Slots [first, first + count) of the batch: [count, H, W, 3] uint8, a view that is valid as long
// as the batch is.
at::Tensor images_of(const pipeline::Batch& batch, std::uint32_t first, std::uint32_t count);

}  // namespace bit::trainer
