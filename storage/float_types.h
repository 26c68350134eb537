// Floating-point elements of any width as fp32.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "storage/safetensors.h"

namespace bit::storage {

bool is_float(DType dtype);  // F32, F64, BF16, F16

// Every element of `from` as fp32; doubles are rounded, beyond its range to infinity. `from` holds
// as many elements as `to`. Throws std::invalid_argument for a type that is no float.
void to_f32(DType dtype, std::span<const std::byte> from, std::span<float> to);

}  // namespace bit::storage
