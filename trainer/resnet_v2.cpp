#include "trainer/resnet_v2.h"

#include <ATen/ATen.h>

#include <optional>
#include <stdexcept>

#include "trainer/initialization.h"
#include "trainer/kernels/convolution.h"
#include "trainer/layers.h"
#include "trainer/resnet_shape.h"

namespace bit::trainer {
namespace {

// Pre-activation bottleneck: the shortcut branches off after the first activation where it needs a
// projection. The sum of branch and shortcut is left to the norm that reads it.
struct Bottleneck {
  GroupNormRelu norm1;
  std::optional<StdConv2d> downsample;
  StdConv2d conv1;
  GroupNormRelu norm2;
  StdConv2d conv2;
  GroupNormRelu norm3;
  StdConv2d conv3;

  Residual operator()(const Residual& input) const {
    const auto [preactivation, x] = norm1(input);
    const at::Tensor shortcut = downsample ? (*downsample)(preactivation) : x;
    at::Tensor y = conv1(preactivation);
    y = conv2(norm2(y));
    y = conv3(norm3(y));
    return {y, shortcut};
  }
};

// Global average, then a 1x1 convolution with bias, in fp32.
struct Head {
  at::Tensor weight;  // [classes, features, 1, 1]
  at::Tensor bias;    // [classes]

  at::Tensor operator()(const at::Tensor& x) const {
    const at::Tensor features = at::mean(x.to(at::kFloat), at::IntArrayRef{2, 3});
    return at::linear(features, weight.flatten(1), bias);
  }
};

// Makes the leaves, in the order of the forward pass.
class Builder {
 public:
  Builder(const ResNetConfig& config, std::uint64_t seed, at::ScalarType kernel_type)
      : config_(config), seed_(seed), kernel_type_(kernel_type) {}

  StdConv2d conv(const std::string& name, int in, int out, int kernel, int stride = 1) {
    at::Tensor weight = at::empty({out, in, kernel, kernel}, at::kFloat);
    initialize_kernel(config_.initialization, weight, seed_, parameters_.size());
    const at::Tensor value = kernel_like(weight, at::kFloat).copy_(weight);
    parameters_.push_back({name + ".weight", value, /*decay=*/true,
                           kernel_like(weight, kernel_type_).set_requires_grad(true)});
    return {parameters_.back().standardized, stride, kernel / 2};
  }

  GroupNormRelu norm(const std::string& name, int channels) {
    at::Tensor weight = add(name + ".weight", at::ones({channels}, at::kFloat), /*decay=*/false);
    return {weight, add(name + ".bias", at::zeros({channels}, at::kFloat), /*decay=*/false)};
  }

  Head head(const std::string& name, int features) {
    at::Tensor weight = at::zeros({config_.classes, features, 1, 1}, at::kFloat);
    if (config_.head_initialization == HeadInitialization::kNormal) {
      small_normal(weight, seed_, parameters_.size());
    }
    const at::Tensor bias = at::full({config_.classes}, config_.head_bias, at::kFloat);
    add(name + ".weight", weight, /*decay=*/true);
    return {weight, add(name + ".bias", bias, /*decay=*/false)};
  }

  std::vector<Parameter> parameters() && { return std::move(parameters_); }

 private:
  static at::Tensor kernel_like(const at::Tensor& weight, at::ScalarType type) {
    return at::empty(weight.sizes(), weight.options().dtype(type), at::MemoryFormat::ChannelsLast);
  }

  at::Tensor add(const std::string& name, at::Tensor value, bool decay) {
    value.set_requires_grad(true);
    parameters_.push_back({name, value, decay || config_.decay_everything});
    return value;
  }

  const ResNetConfig& config_;
  std::uint64_t seed_;
  at::ScalarType kernel_type_;
  std::vector<Parameter> parameters_;
};

}  // namespace

struct ResNetV2::Impl {
  ResNetConfig config;
  at::ScalarType activation;
  StdConv2d stem;
  std::vector<Bottleneck> blocks;
  GroupNormRelu norm;
  Head head;
  std::vector<Parameter> parameters;

  at::Tensor forward(at::Tensor x) const {
    Residual residual = {zero_pad_max_pool(stem(x)), {}};
    for (const Bottleneck& block : blocks) residual = block(residual);
    return head(norm(residual).activated);
  }
};

ResNetV2::ResNetV2(const ResNetConfig& config, Precision precision, std::uint64_t seed)
    : impl_(std::make_unique<Impl>()) {
  impl_->config = config;
  impl_->activation = precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat;
  Builder build(impl_->config, seed, kernels::convolution_type(impl_->activation));
  impl_->stem = build.conv("stem.conv", 3, stem_channels(config), 7, 2);
  for (const UnitShape& unit : unit_shapes(config)) {
    const std::string name =
        "stages." + std::to_string(unit.stage) + ".blocks." + std::to_string(unit.unit) + ".";
    Bottleneck& block = impl_->blocks.emplace_back();
    block.norm1 = build.norm(name + "norm1", unit.in);
    if (unit.projection) {
      block.downsample = build.conv(name + "downsample.conv", unit.in, unit.out, 1, unit.stride);
    }
    block.conv1 = build.conv(name + "conv1", unit.in, unit.mid, 1);
    block.norm2 = build.norm(name + "norm2", unit.mid);
    block.conv2 = build.conv(name + "conv2", unit.mid, unit.mid, 3, unit.stride);
    block.norm3 = build.norm(name + "norm3", unit.mid);
    block.conv3 = build.conv(name + "conv3", unit.mid, unit.out, 1);
  }
  impl_->norm = build.norm("norm", feature_channels(config));
  impl_->head = build.head("head.fc", feature_channels(config));
  impl_->parameters = std::move(build).parameters();
  weights_changed();
}

ResNetV2::~ResNetV2() = default;

at::Tensor ResNetV2::forward(const at::Tensor& images) const {
  if (images.dim() != 4 || images.size(3) != 3 || images.scalar_type() != at::kByte) {
    throw std::invalid_argument("model: images have to be [N, H, W, 3] uint8");
  }
  // A view of the NHWC buffer is channels-last already.
  at::Tensor x = images.permute({0, 3, 1, 2}).to(at::kFloat);
  return impl_->forward(x.sub_(127.5).div_(127.5).to(impl_->activation));
}

at::Tensor ResNetV2::forward_normalised(const at::Tensor& images) const {
  return impl_->forward(images.to(impl_->activation).contiguous(at::MemoryFormat::ChannelsLast));
}

void ResNetV2::weights_changed() {
  for (const Parameter& parameter : impl_->parameters) {
    if (parameter.standardized.defined()) standardize(parameter.value, parameter.standardized);
  }
}

const std::vector<Parameter>& ResNetV2::parameters() const { return impl_->parameters; }
const ResNetConfig& ResNetV2::config() const { return impl_->config; }

}  // namespace bit::trainer
