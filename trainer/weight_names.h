// The names and layouts of BiT's weights in the formats there are of them, from one table. What the
// project calls a weight is timm's name of it (`stages.0.blocks.0.conv1.weight`), with the shape it
// has there: kernels [out, in, height, width], norms [channels]. Needs no LibTorch.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bit::trainer {

enum class WeightFormat {
  kTimm,         // timm's resnetv2, and this project
  kBit,          // the published .npz: resnet/block1/unit01/a/standardized_conv2d/kernel, HWIO
  kBigVision,    // google-research/big_vision: block1/unit01/conv1/kernel, HWIO
  kBigTransfer,  // google-research/big_transfer's PyTorch: body.block1.unit01.conv1.weight
};
inline constexpr std::array<WeightFormat, 4> kWeightFormats = {
    WeightFormat::kTimm, WeightFormat::kBit, WeightFormat::kBigVision, WeightFormat::kBigTransfer};

std::string_view format_name(WeightFormat format);  // "timm", "bit", "big_vision", "big_transfer"
std::optional<WeightFormat> format_named(std::string_view name);

bool is_head(std::string_view timm_name);

// What a format calls the weight; nullopt when this is no weight of BiT's network.
std::optional<std::string> name_in(WeightFormat format, std::string_view timm_name);
// The weight that a format calls so; nullopt when there is none. The number in
// `standardized_conv2d_<n>`, which some published files have, and the `module.` that PyTorch's
// DataParallel puts in front are seen through.
std::optional<std::string> timm_name(WeightFormat format, std::string_view name);

// The shape that a weight has in a format.
std::vector<std::int64_t> shape_in(WeightFormat format, std::string_view timm_name,
                                   std::span<const std::int64_t> timm_shape);
// And back; nullopt for a shape that it cannot have there. For a norm any number of dimensions of 1
// may lead, a kernel of the head may lack those of 1.
std::optional<std::vector<std::int64_t>> timm_shape(WeightFormat format, std::string_view timm_name,
                                                    std::span<const std::int64_t> shape);

// The elements in another layout, of a weight that has `timm_shape` in timm's: from a format's
// order to timm's, and back. `from` and `to` do not overlap.
void to_timm_layout(WeightFormat format, std::span<const std::int64_t> timm_shape,
                    std::span<const float> from, std::span<float> to);
void from_timm_layout(WeightFormat format, std::span<const std::int64_t> timm_shape,
                      std::span<const float> from, std::span<float> to);

}  // namespace bit::trainer
