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
  at::Tensor value;    // fp32; 4-d ones in channels-last memory
  bool decay = false;  // kernels of convolutions and of the head, unless config.decay_everything
  // Kernels of convolutions: what the network computes with, the standardised `value` in the type
  // of the computation and in the same memory order. Undefined for the rest.
  at::Tensor standardized = {};

  // The leaf of autograd. Standardisation is linear in the gradient while the weights stay, so
  // gradients of leaves may be added up, over micro-steps and ranks, and turned into those of the
  // weights once, in the update.
  const at::Tensor& leaf() const { return standardized.defined() ? standardized : value; }
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

  // After values were changed by others than the optimizer: standardises all kernels anew.
  void weights_changed();

  // In the order of the forward pass; handles to the same tensors forward() uses.
  const std::vector<Parameter>& parameters() const;
  const ResNetConfig& config() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bit::trainer
