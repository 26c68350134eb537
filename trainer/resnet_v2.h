// BiT's network: ResNet-v2 with GroupNorm and weight standardisation (BiT paper §3.1;
// google-research/big_transfer).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "trainer/resnet_shape.h"

namespace bit::trainer {

// A trainable tensor and its name in timm's scheme (`stages.0.blocks.0.conv1.weight`).
struct Parameter {
  std::string name;
  at::Tensor value;    // fp32 leaf
  bool decay = false;  // kernels of convolutions and of the head, unless config.decay_everything
};

class ResNetV2 {
 public:
  // Weights from `seed`: convolutions and head as `config` says, GroupNorm 1 and 0.
  ResNetV2(const ResNetConfig& config, Precision precision, std::uint64_t seed);
  ~ResNetV2();

  // images: [N, H, W, 3] uint8. Returns logits [N, classes] fp32. Normalised to [-1, 1] as (x -
  // 127.5) / 127.5.
  at::Tensor forward(const at::Tensor& images) const;
  // From normalised fp32 [N, 3, H, W], for comparison with other implementations.
  at::Tensor forward_normalised(const at::Tensor& images) const;

  // In the order of the forward pass; handles to the same tensors forward() uses.
  const std::vector<Parameter>& parameters() const;
  const ResNetConfig& config() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bit::trainer
