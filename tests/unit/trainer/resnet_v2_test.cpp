#include "trainer/resnet_v2.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <stdexcept>

#include "trainer/initialization.h"
#include "trainer/loss.h"

namespace bit::trainer {
namespace {

ResNetV2 tiny(Precision precision = Precision::kFp32, std::uint64_t seed = 1) {
  return ResNetV2(parse_model_name("R26x0.5", 10), precision, seed);
}

at::Tensor noise(std::int64_t images, std::int64_t side) {
  at::Tensor values = at::empty({images, side, side, 3}, at::kFloat);
  he_normal(values.view({images, -1, 1, 1}), 11, 0);
  return (values * std::sqrt(static_cast<double>(images) / 2) * 50 + 127)
      .clamp(0, 255)
      .to(at::kByte);
}

const Parameter& find(const ResNetV2& model, const std::string& name) {
  for (const Parameter& parameter : model.parameters()) {
    if (parameter.name == name) return parameter;
  }
  throw std::out_of_range(name);
}

struct Size {
  std::string name;
  int classes;
  std::uint64_t parameters;
};

class PublishedSize : public testing::TestWithParam<Size> {};

TEST_P(PublishedSize, has_the_number_of_parameters_of_the_released_models) {
  const Size& size = GetParam();
  EXPECT_EQ(parameter_count(parse_model_name(size.name, size.classes)), size.parameters);
}

// google-research/big_transfer's models; the 1000-class column agrees with timm's table.
INSTANTIATE_TEST_SUITE_P(
    BiT, PublishedSize,
    testing::Values(Size{"R50x1", 1000, 25549352}, Size{"R50x1", 21843, 68256659},
                    Size{"R50x3", 1000, 217319080}, Size{"R101x1", 1000, 44541480},
                    Size{"R101x3", 1000, 387934888}, Size{"R152x2", 1000, 236335208},
                    Size{"R152x4", 1000, 936533224}, Size{"R152x4", 21843, 1107299923}));

TEST(ModelName, gives_blocks_and_width) {
  EXPECT_EQ(parse_model_name("R26x0.5", 5).width, 0.5);
  EXPECT_EQ(parse_model_name("R101x3", 5).blocks, (std::vector<int>{3, 4, 23, 3}));
  EXPECT_EQ(parse_model_name("R101x3", 5).classes, 5);
}

TEST(ModelName, refuses_what_is_not_a_size_and_names_the_sizes) {
  for (const char* name : {"", "R50", "R50x", "R50x0", "R50x-1", "R50x0.3", "R34x1", "R50x1 ",
                           "r50x1", "R50xnan", "R50x1e9", "xR50x1"}) {
    try {
      parse_model_name(name, 10);
      FAIL() << name << " was accepted";
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find("R152"), std::string::npos) << error.what();
    }
  }
}

TEST(ModelCost, of_one_image_is_that_of_a_resnet_50_with_its_stride_in_the_3x3_convolution) {
  // 4.09 GMACs of convolutions and head at 224 pixels, as published for ResNet-50 v1.5.
  const ResNetConfig config = parse_model_name("R50x1", 1000);
  EXPECT_EQ(forward_macs(config, 224), 4089184256U);
  const std::uint64_t head = 2048U * 1000U;
  EXPECT_EQ(forward_macs(config, 448) - head, 4 * (forward_macs(config, 224) - head));
}

TEST(ModelCost, activations_grow_with_images_and_halve_in_bf16) {
  const ResNetConfig config = parse_model_name("R50x1", 1000);
  const std::uint64_t one = activation_bytes(config, 128, 1, Precision::kFp32);
  EXPECT_EQ(activation_bytes(config, 128, 8, Precision::kFp32), 8 * one);
  EXPECT_EQ(activation_bytes(config, 128, 1, Precision::kBf16), one / 2);
  EXPECT_GT(one, 20U << 20);
  EXPECT_LT(one, 60U << 20);
}

TEST(Model, has_timms_names_and_decays_kernels_only) {
  const ResNetV2 model = tiny();
  std::set<std::string> names;
  std::uint64_t elements = 0;
  for (const Parameter& parameter : model.parameters()) {
    names.insert(parameter.name);
    elements += static_cast<std::uint64_t>(parameter.value.numel());
    EXPECT_EQ(parameter.decay, parameter.value.dim() == 4) << parameter.name;
    const at::Tensor& leaf = parameter.leaf();
    EXPECT_TRUE(leaf.requires_grad() && leaf.is_leaf()) << parameter.name;
    EXPECT_EQ(leaf.strides(), parameter.value.strides()) << parameter.name;
    const bool is_head = parameter.name.starts_with("head");
    EXPECT_EQ(parameter.standardized.defined(), parameter.decay && !is_head) << parameter.name;
  }
  EXPECT_EQ(names.size(), model.parameters().size());
  EXPECT_EQ(elements, parameter_count(model.config()));
  EXPECT_EQ(names.size(), 1U + 8U * 9U + 4U + 2U + 2U);
  for (const char* name : {"stem.conv.weight", "stages.0.blocks.0.downsample.conv.weight",
                           "stages.3.blocks.1.norm3.bias", "stages.2.blocks.1.conv2.weight",
                           "norm.weight", "norm.bias", "head.fc.bias"}) {
    EXPECT_EQ(names.count(name), 1U) << name;
  }
  EXPECT_EQ(names.count("stages.1.blocks.1.downsample.conv.weight"), 0U);
  EXPECT_EQ(find(model, "head.fc.weight").value.sizes(), at::IntArrayRef({10, 1024, 1, 1}));
}

TEST(Model, starts_with_he_normal_kernels_unit_norms_and_a_zero_head) {
  ResNetConfig config = parse_model_name("R26x1", 10);
  config.head_bias = -10;
  const ResNetV2 model(config, Precision::kFp32, 3);
  const at::Tensor kernel = find(model, "stages.3.blocks.1.conv2.weight").value.detach();
  const double deviation = std::sqrt(2.0 / (512 * 9));
  const auto count = static_cast<double>(kernel.numel());
  EXPECT_NEAR(kernel.mean().item<double>(), 0, 5 * deviation / std::sqrt(count));
  EXPECT_NEAR(kernel.std().item<double>() / deviation, 1, 5 / std::sqrt(2 * count));
  const at::Tensor fourth = (kernel / deviation).pow(4);
  EXPECT_NEAR(fourth.mean().item<double>(), 3, 5 * std::sqrt(96 / count));  // of a normal
  EXPECT_TRUE(at::equal(find(model, "norm.weight").value, at::ones({2048})));
  EXPECT_TRUE(at::equal(find(model, "norm.bias").value, at::zeros({2048})));
  EXPECT_TRUE(at::equal(find(model, "head.fc.bias").value, at::full({10}, -10.0F)));
  EXPECT_EQ(find(model, "head.fc.weight").value.abs().sum().item<float>(), 0);
}

TEST(Model, starts_equal_for_equal_seeds_on_any_number_of_threads_and_else_not) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const ResNetV2 one = tiny(Precision::kFp32, 7);
  at::set_num_threads(3);
  const ResNetV2 three = tiny(Precision::kFp32, 7);
  at::set_num_threads(threads);
  const ResNetV2 other = tiny(Precision::kFp32, 8);
  for (std::size_t i = 0; i < one.parameters().size(); ++i) {
    EXPECT_TRUE(at::equal(one.parameters()[i].value, three.parameters()[i].value));
  }
  EXPECT_FALSE(at::equal(one.parameters()[0].value, other.parameters()[0].value));
  EXPECT_FALSE(at::equal(find(one, "stages.0.blocks.0.conv3.weight").value,
                         find(one, "stages.0.blocks.1.conv3.weight").value));
}

TEST(Model, normalises_pixels_to_minus_one_and_one) {
  const ResNetV2 model = tiny();
  at::Tensor head = find(model, "head.fc.weight").value.detach();
  he_normal(head, 1, 1000);
  const at::Tensor images = noise(2, 32);
  const at::Tensor normal = (images.permute({0, 3, 1, 2}).to(at::kFloat) - 127.5) / 127.5;
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(at::allclose(model.forward(images), model.forward_normalised(normal.contiguous()),
                           1e-4, 1e-5));
  EXPECT_EQ(model.forward(images).sizes(), at::IntArrayRef({2, 10}));
}

TEST(Model, does_not_mix_the_images_of_a_batch) {
  const ResNetV2 model = tiny();
  he_normal(find(model, "head.fc.weight").value.detach(), 1, 1000);
  const at::NoGradGuard no_grad;
  const at::Tensor images = noise(3, 48);
  const at::Tensor together = model.forward(images);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::allclose(model.forward(images.narrow(0, i, 1))[0], together[i], 1e-3, 1e-4));
  }
}

TEST(Model, in_bf16_is_close_to_fp32_and_answers_in_fp32) {
  const ResNetV2 exact = tiny();
  const ResNetV2 rounded = tiny(Precision::kBf16);
  for (const ResNetV2* model : {&exact, &rounded}) {
    he_normal(find(*model, "head.fc.weight").value.detach(), 1, 1000);
  }
  const at::Tensor images = noise(2, 32);
  const std::vector<std::vector<std::int32_t>> labels = {{1}, {2}};
  const at::Tensor logits = rounded.forward(images);
  EXPECT_EQ(logits.scalar_type(), at::kFloat);
  const at::Tensor expected = exact.forward(images);
  EXPECT_LT(((logits - expected).norm() / expected.norm()).item<double>(), 0.15);
  loss_sum(LossKind::kSoftmax, logits, labels).backward();
  for (const Parameter& parameter : rounded.parameters()) {
    EXPECT_TRUE(parameter.leaf().grad().defined()) << parameter.name;
    EXPECT_EQ(parameter.value.scalar_type(), at::kFloat) << parameter.name;
  }
}

TEST(Model, refuses_images_of_another_kind) {
  const ResNetV2 model = tiny();
  EXPECT_THROW(model.forward(at::zeros({1, 3, 32, 32}, at::kByte)), std::invalid_argument);
  EXPECT_THROW(model.forward(at::zeros({1, 32, 32, 3}, at::kFloat)), std::invalid_argument);
}

}  // namespace
}  // namespace bit::trainer
