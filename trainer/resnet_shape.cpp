#include "trainer/resnet_shape.h"

#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <string_view>

namespace bit::trainer {
namespace {

constexpr int kStemChannels = 64;  // BiT paper §3.1, at width 1
constexpr int kExpansion = 4;      // channels out of a unit, in widths of its 3x3 convolution

struct NamedDepth {
  std::string_view name;
  std::array<int, 4> blocks;
};
constexpr std::array<NamedDepth, 4> kDepths = {{
    {"R26", {2, 2, 2, 2}},
    {"R50", {3, 4, 6, 3}},
    {"R101", {3, 4, 23, 3}},
    {"R152", {3, 8, 36, 3}},
}};

std::uint64_t u64(int value) { return static_cast<std::uint64_t>(value); }

int halved(int size) { return (size + 1) / 2; }  // by a convolution or pool of stride 2

// Calls visit(name-free facts) for every convolution and GroupNorm of one image, in the order of
// the forward pass.
struct LayerCost {
  std::uint64_t kernel = 0;  // elements of the weight, 0 for a GroupNorm
  std::uint64_t norm = 0;    // channels of a GroupNorm, 0 for a convolution
  std::uint64_t input = 0;   // elements of the layer's input
  std::uint64_t pixels = 0;  // of the output
};
template <typename Visit>
void for_each_layer(const ResNetConfig& config, int image_size, Visit visit) {
  auto convolution = [&](int in, int out, int kernel, int size, int out_size) {
    visit(LayerCost{u64(in) * u64(out) * u64(kernel * kernel), 0, u64(in) * u64(size) * u64(size),
                    u64(out_size) * u64(out_size)});
  };
  auto norm = [&](int channels, int size) {
    visit(LayerCost{0, u64(channels), u64(channels) * u64(size) * u64(size), 0});
  };
  const int stem_size = halved(image_size);
  convolution(3, stem_channels(config), 7, image_size, stem_size);
  int size = halved(stem_size);
  for (const UnitShape& unit : unit_shapes(config)) {
    const int out_size = unit.stride == 2 ? halved(size) : size;
    norm(unit.in, size);
    if (unit.projection) convolution(unit.in, unit.out, 1, size, out_size);
    convolution(unit.in, unit.mid, 1, size, size);
    norm(unit.mid, size);
    convolution(unit.mid, unit.mid, 3, size, out_size);
    norm(unit.mid, out_size);
    convolution(unit.mid, unit.out, 1, out_size, out_size);
    size = out_size;
  }
  norm(feature_channels(config), size);
}

std::uint64_t head_kernel(const ResNetConfig& config) {
  return u64(feature_channels(config)) * u64(config.classes);
}

[[noreturn]] void refuse(const std::string& name) {
  throw std::invalid_argument(
      "model '" + name +
      "' is unknown: R26, R50, R101 or R152, then x and a width in steps of 0.5 "
      "(R50x1, R101x3, R152x4, R26x0.5)");
}

}  // namespace

ResNetConfig parse_model_name(const std::string& name, int classes) {
  const std::size_t x = name.find('x');
  if (x == std::string::npos) refuse(name);
  ResNetConfig config;
  config.classes = classes;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + x + 1, end, config.width);
  const double stem = config.width * kStemChannels;
  const bool fits = error == std::errc() && stop == end && config.width > 0 && config.width <= 16 &&
                    std::fmod(stem, kGroups) == 0;
  for (const NamedDepth& depth : kDepths) {
    if (!fits || name.compare(0, x, depth.name) != 0) continue;
    config.blocks.assign(depth.blocks.begin(), depth.blocks.end());
    return config;
  }
  refuse(name);
}

int stem_channels(const ResNetConfig& config) {
  const double channels = config.width * kStemChannels;
  if (!(channels >= kGroups) || std::fmod(channels, kGroups) != 0) {
    throw std::invalid_argument("model: width " + std::to_string(config.width) + " gives " +
                                std::to_string(channels) +
                                " channels, which 32 groups do not divide");
  }
  return static_cast<int>(channels);
}

std::vector<UnitShape> unit_shapes(const ResNetConfig& config) {
  std::vector<UnitShape> shapes;
  int in = stem_channels(config);
  int mid = in;
  for (int stage = 0; stage < static_cast<int>(config.blocks.size()); ++stage, mid *= 2) {
    for (int unit = 0; unit < config.blocks[static_cast<std::size_t>(stage)]; ++unit) {
      const int out = kExpansion * mid;
      const int stride = unit == 0 && stage > 0 ? 2 : 1;
      shapes.push_back({stage, unit, in, mid, out, stride, stride != 1 || in != out});
      in = out;
    }
  }
  if (shapes.empty()) throw std::invalid_argument("model: it has no units");
  return shapes;
}

int feature_channels(const ResNetConfig& config) { return unit_shapes(config).back().out; }

std::vector<WeightShape> weight_shapes(const ResNetConfig& config) {
  std::vector<WeightShape> weights;
  const auto convolution = [&](const std::string& name, int in, int out, int kernel) {
    weights.push_back({name + ".weight", {out, in, kernel, kernel}});
  };
  const auto norm = [&](const std::string& name, int channels) {
    weights.push_back({name + ".weight", {channels}});
    weights.push_back({name + ".bias", {channels}});
  };
  convolution("stem.conv", 3, stem_channels(config), 7);
  for (const auto& unit : unit_shapes(config)) {
    const std::string block =
        "stages." + std::to_string(unit.stage) + ".blocks." + std::to_string(unit.unit) + ".";
    norm(block + "norm1", unit.in);
    if (unit.projection) convolution(block + "downsample.conv", unit.in, unit.out, 1);
    convolution(block + "conv1", unit.in, unit.mid, 1);
    norm(block + "norm2", unit.mid);
    convolution(block + "conv2", unit.mid, unit.mid, 3);
    norm(block + "norm3", unit.mid);
    convolution(block + "conv3", unit.mid, unit.out, 1);
  }
  const int features = feature_channels(config);
  norm("norm", features);
  weights.push_back({"head.fc.weight", {config.classes, features, 1, 1}});
  weights.push_back({"head.fc.bias", {config.classes}});
  return weights;
}

std::uint64_t parameter_count(const ResNetConfig& config) {
  std::uint64_t count = head_kernel(config) + u64(config.classes);
  for_each_layer(config, 32,
                 [&](const LayerCost& layer) { count += layer.kernel + 2 * layer.norm; });
  return count;
}

std::uint64_t forward_macs(const ResNetConfig& config, int image_size) {
  std::uint64_t macs = head_kernel(config);
  for_each_layer(config, image_size,
                 [&](const LayerCost& layer) { macs += layer.kernel * layer.pixels; });
  return macs;
}

std::uint64_t activation_bytes(const ResNetConfig& config, int image_size, int images,
                               Precision precision) {
  // Every convolution keeps its input (the result of a GroupNorm), every GroupNorm its own; a
  // projection shares its input.
  std::uint64_t elements = 0;
  for_each_layer(config, image_size, [&](const LayerCost& layer) { elements += layer.input; });
  for (const UnitShape& unit : unit_shapes(config)) {
    if (unit.projection) {
      int size = halved(halved(image_size));
      for (int stage = 1; stage < unit.stage; ++stage) size = halved(size);
      elements -= u64(unit.in) * u64(size) * u64(size);
    }
  }
  return elements * u64(images) * (precision == Precision::kBf16 ? 2 : 4);
}

}  // namespace bit::trainer
