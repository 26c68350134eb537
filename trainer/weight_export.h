// Writes weights in the formats that other programs read. Needs no LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/safetensors.h"
#include "trainer/weight_source.h"

namespace bit::trainer {

enum class WeightFile { kSafetensors, kNpz };
// The kind of file that a format is kept in: .npz for bit and big_vision.
WeightFile file_of(WeightFormat format);

// Writes the weights of `source` to `output`, all but the head when `with_head` is false: fp32,
// under the names and in the layout of `format`; durable and atomic. Safetensors say model and step
// where they are known. Returns the number of tensors. Throws DataError naming a tensor that has no
// name in the format, or is damaged; StorageError. Memory: a few times the largest tensor.
std::size_t export_weights(const WeightSource& source, WeightFormat format, bool with_head,
                           const std::string& output);

}  // namespace bit::trainer
