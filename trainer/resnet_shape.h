// The sizes of BiT's network, from which it is built, and from which its weights and its cost are
// known without building it. Needs no LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bit::trainer {

constexpr int kGroups = 32;  // of every GroupNorm (BiT paper §3.1); they divide all channels

// Random kernels of convolutions, described with `model.initialization` (trainer/initialization.h).
enum class KernelInitialization { kHeNormal, kGlorotUniform, kLecunNormal };
enum class HeadInitialization { kZeros, kNormal };

struct ResNetConfig {
  std::vector<int> blocks = {3, 4, 6, 3};  // bottleneck units of the four stages
  double width = 1;                        // multiplies every hidden width, the root's included
  int classes = 1000;
  double head_bias = 0;
  KernelInitialization initialization = KernelInitialization::kHeNormal;
  HeadInitialization head_initialization = HeadInitialization::kZeros;
  bool decay_everything = false;  // weight decay is for all parameters, not for kernels only
};

// "R50x1", "R101x3", "R152x4", "R26x1", "R26x0.5": throws std::invalid_argument naming the sizes
// there are. Widths have to keep the channels a multiple of the 32 groups of GroupNorm.
ResNetConfig parse_model_name(const std::string& name, int classes);

enum class Precision { kFp32, kBf16 };  // of activations

// One bottleneck unit: 1x1 in -> mid, 3x3 mid -> mid with the stride, 1x1 mid -> out.
struct UnitShape {
  int stage = 0;
  int unit = 0;
  int in = 0;
  int mid = 0;
  int out = 0;
  int stride = 1;
  bool projection = false;  // 1x1 in -> out on the shortcut
};

int stem_channels(const ResNetConfig& config);
std::vector<UnitShape> unit_shapes(const ResNetConfig& config);
int feature_channels(const ResNetConfig& config);  // that the head sees

struct WeightShape {
  std::string name;  // timm's
  std::vector<std::int64_t> shape;
};
// Every parameter, in the order of the forward pass.
std::vector<WeightShape> weight_shapes(const ResNetConfig& config);

std::uint64_t parameter_count(const ResNetConfig& config);
// Multiply-adds of one forward pass of one image of `image_size` squared.
std::uint64_t forward_macs(const ResNetConfig& config, int image_size);
// Bytes of activations kept for the backward pass of `images` images, roughly.
std::uint64_t activation_bytes(const ResNetConfig& config, int image_size, int images,
                               Precision precision);

}  // namespace bit::trainer
