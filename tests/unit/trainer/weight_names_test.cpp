// Names and layouts of the published weights, for all six architectures. tests/oracle has the names
// a second time, from their sources.
#include "trainer/weight_names.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "trainer/resnet_shape.h"

namespace bit::trainer {
namespace {

using Shape = std::vector<std::int64_t>;

struct Published {
  const char* name;
  std::size_t tensors;       // in the .npz, head included
  std::uint64_t parameters;  // of the network with 21,843 classes
};
// google-research/big_transfer: the shapes of its checkpoints.
constexpr std::array<Published, 6> kPublished = {{{"R50x1", 153, 68'256'659},
                                                  {"R50x3", 153, 345'399'315},
                                                  {"R101x1", 306, 87'248'787},
                                                  {"R101x3", 306, 516'015'123},
                                                  {"R152x2", 459, 321'728'979},
                                                  {"R152x4", 459, 1'107'299'923}}};

std::string official(const std::string& timm) { return *name_in(WeightFormat::kBit, timm); }

TEST(WeightNames, of_every_architecture_go_into_every_format_and_back) {
  for (const Published& published : kPublished) {
    const auto shapes = weight_shapes(parse_model_name(published.name, 21843));
    EXPECT_EQ(shapes.size(), published.tensors) << published.name;
    for (const WeightFormat format : kWeightFormats) {
      std::set<std::string> names;
      std::uint64_t parameters = 0;
      for (const WeightShape& weight : shapes) {
        const auto name = name_in(format, weight.name);
        ASSERT_TRUE(name) << weight.name;
        names.insert(*name);
        EXPECT_EQ(timm_name(format, *name), weight.name);
        const Shape there = shape_in(format, weight.name, weight.shape);
        EXPECT_EQ(timm_shape(format, weight.name, there), weight.shape) << *name;
        std::uint64_t elements = 1;
        for (const auto size : there) elements *= static_cast<std::uint64_t>(size);
        parameters += elements;
      }
      EXPECT_EQ(names.size(), published.tensors);
      EXPECT_EQ(parameters, published.parameters);
    }
  }
}

TEST(WeightNames, are_the_published_ones) {
  EXPECT_EQ(official("stem.conv.weight"), "resnet/root_block/standardized_conv2d/kernel");
  EXPECT_EQ(official("stages.0.blocks.0.norm1.weight"), "resnet/block1/unit01/a/group_norm/gamma");
  EXPECT_EQ(official("stages.0.blocks.0.downsample.conv.weight"),
            "resnet/block1/unit01/a/proj/standardized_conv2d/kernel");
  EXPECT_EQ(official("stages.1.blocks.3.conv1.weight"),
            "resnet/block2/unit04/a/standardized_conv2d/kernel");
  EXPECT_EQ(official("stages.2.blocks.35.conv2.weight"),
            "resnet/block3/unit36/b/standardized_conv2d/kernel");
  EXPECT_EQ(official("stages.3.blocks.2.norm3.bias"), "resnet/block4/unit03/c/group_norm/beta");
  EXPECT_EQ(official("norm.weight"), "resnet/group_norm/gamma");
  EXPECT_EQ(official("head.fc.weight"), "resnet/head/conv2d/kernel");
  EXPECT_EQ(official("head.fc.bias"), "resnet/head/conv2d/bias");
  EXPECT_EQ(name_in(WeightFormat::kBigVision, "stages.2.blocks.9.downsample.conv.weight"),
            "block3/unit10/conv_proj/kernel");
  EXPECT_EQ(name_in(WeightFormat::kBigVision, "norm.bias"), "norm-pre-head/bias");
  EXPECT_EQ(name_in(WeightFormat::kBigTransfer, "stages.3.blocks.0.norm2.weight"),
            "body.block4.unit01.gn2.weight");
}

TEST(WeightNames, with_a_number_or_a_module_in_them_are_the_same_weights) {
  EXPECT_EQ(timm_name(WeightFormat::kBit, "resnet/root_block/standardized_conv2d_52/kernel"),
            "stem.conv.weight");
  EXPECT_EQ(
      timm_name(WeightFormat::kBit, "resnet/block1/unit01/a/proj/standardized_conv2d_1/kernel"),
      "stages.0.blocks.0.downsample.conv.weight");
  EXPECT_EQ(timm_name(WeightFormat::kTimm, "module.norm.bias"), "norm.bias");
  EXPECT_EQ(timm_name(WeightFormat::kBigTransfer, "module.body.block1.unit01.conv1.weight"),
            "stages.0.blocks.0.conv1.weight");
  EXPECT_EQ(timm_name(WeightFormat::kBigVision, "conv_head/kernel"), "head.fc.weight");
}

TEST(WeightNames, of_anything_else_are_none) {
  for (const char* name :
       {"", "resnet", "resnet/block1/unit1/a/group_norm/gamma",
        "resnet/block0/unit01/a/group_norm/gamma", "resnet/block1/unit001/a/group_norm/gamma",
        "resnet/block1/unit01/d/group_norm/gamma", "resnet/block1/unit-1/a/group_norm/gamma",
        "resnet/block1/unit01/a/group_norm/gamma/",
        "resnet/block1/unit99999999999999999999/a/group_norm/gamma",
        "resnet/root_block/standardized_conv2d_/kernel",
        "resnet/root_block/standardized_conv2d_1x/kernel", "module.resnet/group_norm/gamma"}) {
    EXPECT_EQ(timm_name(WeightFormat::kBit, name), std::nullopt) << name;
  }
  for (const char* name :
       {"stages.00.blocks.0.conv1.weight", "stages.0.blocks.01.conv1.weight",
        "stages.0.blocks.0.conv4.weight", "module.module.norm.bias", "head.fc"}) {
    EXPECT_EQ(timm_name(WeightFormat::kTimm, name), std::nullopt) << name;
  }
  EXPECT_EQ(name_in(WeightFormat::kBit, "stages.0.blocks.0.norm1.running_mean"), std::nullopt);
}

TEST(WeightShapesElsewhere, are_those_of_the_published_files) {
  const std::string conv = "stages.0.blocks.0.conv2.weight";
  EXPECT_EQ(shape_in(WeightFormat::kBit, conv, Shape{64, 32, 3, 5}), (Shape{3, 5, 32, 64}));
  EXPECT_EQ(shape_in(WeightFormat::kBit, "head.fc.weight", Shape{10, 2048, 1, 1}),
            (Shape{1, 1, 2048, 10}));
  EXPECT_EQ(shape_in(WeightFormat::kBigVision, "head.fc.weight", Shape{10, 2048, 1, 1}),
            (Shape{2048, 10}));
  EXPECT_EQ(shape_in(WeightFormat::kBigVision, "norm.bias", Shape{64}), (Shape{1, 1, 1, 64}));
  EXPECT_EQ(shape_in(WeightFormat::kBigVision, "head.fc.bias", Shape{10}), (Shape{10}));
  EXPECT_EQ(timm_shape(WeightFormat::kTimm, "head.fc.weight", Shape{10, 2048}),
            (Shape{10, 2048, 1, 1}));
  EXPECT_EQ(timm_shape(WeightFormat::kBit, "norm.bias", Shape{2, 64}), std::nullopt);
  EXPECT_EQ(timm_shape(WeightFormat::kBit, conv, Shape{3, 3, 32}), std::nullopt);
  EXPECT_EQ(timm_shape(WeightFormat::kBit, "norm.bias", Shape{}), std::nullopt);
}

TEST(WeightLayouts, move_every_element_to_its_place_and_back) {
  // 19 x 35 x 2 x 3: no multiple of a tile.
  const Shape shape = {19, 35, 2, 3};
  std::vector<float> timm(19 * 35 * 2 * 3);
  std::iota(timm.begin(), timm.end(), 0.0F);
  std::vector<float> there(timm.size());
  std::vector<float> back(timm.size());
  from_timm_layout(WeightFormat::kBit, shape, timm, there);
  for (std::size_t o = 0; o < 19; ++o) {
    for (std::size_t i = 0; i < 35; ++i) {
      for (std::size_t p = 0; p < 6; ++p) {
        ASSERT_EQ(there[(p * 35 + i) * 19 + o], timm[(o * 35 + i) * 6 + p]);
      }
    }
  }
  to_timm_layout(WeightFormat::kBit, shape, there, back);
  EXPECT_EQ(back, timm);
  from_timm_layout(WeightFormat::kBigTransfer, shape, timm, there);
  EXPECT_EQ(there, timm);
}

}  // namespace
}  // namespace bit::trainer
