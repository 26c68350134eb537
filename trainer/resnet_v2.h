// BiT's network: ResNet-v2 with GroupNorm and weight standardisation (BiT paper §3.1;
// google-research/big_transfer).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace bit::trainer {

struct ResNetConfig {
  std::vector<int> blocks = {3, 4, 6, 3};  // bottleneck units of the four stages
  double width = 1;                        // multiplies every hidden width, the root's included
  int classes = 1000;
  double head_bias = 0;
};

// "R50x1", "R101x3", "R152x4", "R26x1", "R26x0.5": throws std::invalid_argument naming the sizes
// there are. Widths have to keep the channels a multiple of the 32 groups of GroupNorm.
ResNetConfig parse_model_name(const std::string& name, int classes);

enum class Precision { kFp32, kBf16 };

// A trainable tensor and its name in timm's scheme (`stages.0.blocks.0.conv1.weight`).
struct Parameter {
  std::string name;
  at::Tensor value;    // fp32 leaf
  bool decay = false;  // kernels of convolutions and of the head
};

class ResNetV2 {
 public:
  // Weights from `seed`: convolutions He-normal (fan-out), GroupNorm 1 and 0, head 0 with bias
  // head_bias.
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

// Without building it: numbers for --dry-run.
std::uint64_t parameter_count(const ResNetConfig& config);
// Multiply-adds of one forward pass of one image of `image_size` squared.
std::uint64_t forward_macs(const ResNetConfig& config, int image_size);
// Bytes of activations kept for the backward pass of `images` images, roughly.
std::uint64_t activation_bytes(const ResNetConfig& config, int image_size, int images,
                               Precision precision);

}  // namespace bit::trainer
