#include "trainer/weight_names.h"

#include <algorithm>
#include <charconv>

namespace bit::trainer {
namespace {

// One word for each format, in the order of WeightFormat.
using Words = std::array<std::string_view, 4>;

std::string_view in(const Words& words, WeightFormat format) {
  return words[static_cast<std::size_t>(format)];
}

constexpr Words kFormatNames = {"timm", "bit", "big_vision", "big_transfer"};

// Outside the units (google-research/big_transfer, bit_pytorch/models.py; google-research/
// big_vision, models/bit_paper.py).
constexpr Words kHeadKernel = {"head.fc.weight", "resnet/head/conv2d/kernel", "head/kernel",
                               "head.conv.weight"};
constexpr Words kHeadBias = {"head.fc.bias", "resnet/head/conv2d/bias", "head/bias",
                             "head.conv.bias"};
constexpr std::array<Words, 5> kOutside = {{
    {"stem.conv.weight", "resnet/root_block/standardized_conv2d/kernel",
     "root_block/conv_root/kernel", "root.conv.weight"},
    {"norm.weight", "resnet/group_norm/gamma", "norm-pre-head/scale", "head.gn.weight"},
    {"norm.bias", "resnet/group_norm/beta", "norm-pre-head/bias", "head.gn.bias"},
    kHeadKernel,
    kHeadBias,
}};

// Behind the prefix of a unit.
constexpr std::array<Words, 10> kInUnit = {{
    {"norm1.weight", "a/group_norm/gamma", "gn1/scale", "gn1.weight"},
    {"norm1.bias", "a/group_norm/beta", "gn1/bias", "gn1.bias"},
    {"downsample.conv.weight", "a/proj/standardized_conv2d/kernel", "conv_proj/kernel",
     "downsample.weight"},
    {"conv1.weight", "a/standardized_conv2d/kernel", "conv1/kernel", "conv1.weight"},
    {"norm2.weight", "b/group_norm/gamma", "gn2/scale", "gn2.weight"},
    {"norm2.bias", "b/group_norm/beta", "gn2/bias", "gn2.bias"},
    {"conv2.weight", "b/standardized_conv2d/kernel", "conv2/kernel", "conv2.weight"},
    {"norm3.weight", "c/group_norm/gamma", "gn3/scale", "gn3.weight"},
    {"norm3.bias", "c/group_norm/beta", "gn3/bias", "gn3.bias"},
    {"conv3.weight", "c/standardized_conv2d/kernel", "conv3/kernel", "conv3.weight"},
}};

// <stage>S<unit>U<rest>, S and U counted from `first`, U with at least `digits` digits.
struct UnitPrefix {
  std::string_view stage;
  std::string_view unit;
  std::string_view rest;
  int first = 1;
  std::size_t digits = 2;
};
constexpr std::array<UnitPrefix, 4> kUnitPrefixes = {{
    {"stages.", ".blocks.", ".", 0, 1},
    {"resnet/block", "/unit", "/", 1, 2},
    {"block", "/unit", "/", 1, 2},
    {"body.block", ".unit", ".", 1, 2},
}};
constexpr int kMaxUnits = 10000;  // and stages; beyond, a name is no name

const UnitPrefix& prefix_of(WeightFormat format) {
  return kUnitPrefixes[static_cast<std::size_t>(format)];
}

std::string number(int value, std::size_t digits) {
  const std::string text = std::to_string(value);
  return std::string(digits - std::min(digits, text.size()), '0') + text;
}

// A number as number() writes it, in front of `text`, which loses it.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto length = static_cast<std::size_t>(stop - text.data());
  if (error != std::errc() || value < 0 || value > kMaxUnits) return std::nullopt;
  if (text.substr(0, length) != number(value, digits)) return std::nullopt;
  text.remove_prefix(length);
  return value;
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

struct Unit {
  int stage = 0;  // from 0
  int unit = 0;
};

// The unit in front of `name`, which keeps what is behind it.
std::optional<Unit> take_unit(WeightFormat format, std::string_view& name) {
  const UnitPrefix& prefix = prefix_of(format);
  std::string_view rest = name;
  if (!take(rest, prefix.stage)) return std::nullopt;
  const auto stage = take_number(rest, 1);
  if (!stage || !take(rest, prefix.unit)) return std::nullopt;
  const auto unit = take_number(rest, prefix.digits);
  if (!unit || !take(rest, prefix.rest)) return std::nullopt;
  if (*stage < prefix.first || *unit < prefix.first) return std::nullopt;
  name = rest;
  return Unit{*stage - prefix.first, *unit - prefix.first};
}

std::string unit_text(WeightFormat format, const Unit& unit) {
  const UnitPrefix& prefix = prefix_of(format);
  std::string text(prefix.stage);
  text += std::to_string(unit.stage + prefix.first);
  text += prefix.unit;
  text += number(unit.unit + prefix.first, prefix.digits);
  text += prefix.rest;
  return text;
}

std::optional<std::string> translate(WeightFormat from, WeightFormat to, std::string_view name) {
  for (const Words& words : kOutside) {
    if (in(words, from) == name) return std::string(in(words, to));
  }
  const auto unit = take_unit(from, name);
  if (!unit) return std::nullopt;
  for (const Words& words : kInUnit) {
    if (in(words, from) == name) return unit_text(to, *unit).append(in(words, to));
  }
  return std::nullopt;
}

// Without "_<n>" behind standardized_conv2d (big_vision, models/bit_paper.py, knows it as well).
std::string without_number(std::string_view name) {
  constexpr std::string_view kNumbered = "/standardized_conv2d_";
  const std::size_t at = name.find(kNumbered);
  if (at == std::string_view::npos) return std::string(name);
  const std::size_t begin = at + kNumbered.size();
  const std::size_t end = name.find_first_not_of("0123456789", begin);
  if (end == begin || end == std::string_view::npos || name[end] != '/') return std::string(name);
  return std::string(name.substr(0, begin - 1)) + std::string(name.substr(end));
}

bool is_kernel_first(WeightFormat format) {  // height, width, in, out
  return format == WeightFormat::kBit || format == WeightFormat::kBigVision;
}

// [in][out] of each position of a kernel and [out][in] with the positions last, from one to the
// other. Tiles keep what is read and what is written in the cache.
struct KernelSize {
  std::size_t out = 0;
  std::size_t in = 0;
  std::size_t positions = 0;
};
template <typename Copy>
void for_each_element(const KernelSize& size, Copy copy) {
  constexpr std::size_t kTile = 16;
  for (std::size_t o0 = 0; o0 < size.out; o0 += kTile) {
    for (std::size_t i0 = 0; i0 < size.in; i0 += kTile) {
      for (std::size_t p = 0; p < size.positions; ++p) {
        for (std::size_t i = i0; i < std::min(i0 + kTile, size.in); ++i) {
          for (std::size_t o = o0; o < std::min(o0 + kTile, size.out); ++o) {
            copy((o * size.in + i) * size.positions + p, (p * size.in + i) * size.out + o);
          }
        }
      }
    }
  }
}

// Of a kernel that has another layout in `format`, when it has elements at all.
std::optional<KernelSize> kernel_size(WeightFormat format, std::span<const std::int64_t> shape,
                                      std::size_t elements) {
  if (!is_kernel_first(format) || shape.size() != 4 || elements == 0) return std::nullopt;
  const auto out = static_cast<std::size_t>(shape[0]);
  const auto in = static_cast<std::size_t>(shape[1]);
  return KernelSize{out, in, elements / (out * in)};
}

bool is_norm_or_bias(std::string_view timm_name) {
  return timm_name.ends_with(".bias") || timm_name.starts_with("norm.") ||
         timm_name.find(".norm") != std::string_view::npos;
}

}  // namespace

std::string_view format_name(WeightFormat format) { return in(kFormatNames, format); }

std::optional<WeightFormat> format_named(std::string_view name) {
  for (const WeightFormat format : kWeightFormats) {
    if (format_name(format) == name) return format;
  }
  return std::nullopt;
}

bool is_head(std::string_view timm_name) { return timm_name.starts_with("head.fc."); }

std::optional<std::string> name_in(WeightFormat format, std::string_view timm_name) {
  return translate(WeightFormat::kTimm, format, timm_name);
}

std::optional<std::string> timm_name(WeightFormat format, std::string_view name) {
  if (format == WeightFormat::kBit) {
    return translate(format, WeightFormat::kTimm, without_number(name));
  }
  if (format == WeightFormat::kBigVision) {
    // The head's name in google-research/big_transfer, bit_jax/models.py.
    if (name == "conv_head/kernel") name = in(kHeadKernel, format);
    if (name == "conv_head/bias") name = in(kHeadBias, format);
  } else {
    take(name, "module.");
  }
  return translate(format, WeightFormat::kTimm, name);
}

std::vector<std::int64_t> shape_in(WeightFormat format, std::string_view timm_name,
                                   std::span<const std::int64_t> timm_shape) {
  std::vector<std::int64_t> shape(timm_shape.begin(), timm_shape.end());
  if (!is_kernel_first(format)) return shape;
  const bool big_vision = format == WeightFormat::kBigVision;
  if (shape.size() == 4) {
    shape = {timm_shape[2], timm_shape[3], timm_shape[1], timm_shape[0]};
    if (big_vision && is_head(timm_name)) shape = {timm_shape[1], timm_shape[0]};
  } else if (big_vision && shape.size() == 1 && !is_head(timm_name)) {
    shape = {1, 1, 1, timm_shape[0]};
  }
  return shape;
}

std::optional<std::vector<std::int64_t>> timm_shape(WeightFormat format, std::string_view timm_name,
                                                    std::span<const std::int64_t> shape) {
  if (is_norm_or_bias(timm_name)) {
    if (shape.empty()) return std::nullopt;
    const bool plain =
        std::ranges::all_of(shape.first(shape.size() - 1), [](auto size) { return size == 1; });
    if (!plain) return std::nullopt;
    return std::vector<std::int64_t>{shape.back()};
  }
  const bool kernel_first = is_kernel_first(format);
  if (shape.size() == 2 && is_head(timm_name)) {
    return kernel_first ? std::vector<std::int64_t>{shape[1], shape[0], 1, 1}
                        : std::vector<std::int64_t>{shape[0], shape[1], 1, 1};
  }
  if (shape.size() != 4) return std::nullopt;
  if (kernel_first) return std::vector<std::int64_t>{shape[3], shape[2], shape[0], shape[1]};
  return std::vector<std::int64_t>(shape.begin(), shape.end());
}

void to_timm_layout(WeightFormat format, std::span<const std::int64_t> timm_shape,
                    std::span<const float> from, std::span<float> to) {
  if (const auto size = kernel_size(format, timm_shape, from.size())) {
    for_each_element(*size,
                     [&](std::size_t timm, std::size_t foreign) { to[timm] = from[foreign]; });
  } else {
    std::ranges::copy(from, to.begin());
  }
}

void from_timm_layout(WeightFormat format, std::span<const std::int64_t> timm_shape,
                      std::span<const float> from, std::span<float> to) {
  if (const auto size = kernel_size(format, timm_shape, from.size())) {
    for_each_element(*size,
                     [&](std::size_t timm, std::size_t foreign) { to[foreign] = from[timm]; });
  } else {
    std::ranges::copy(from, to.begin());
  }
}

}  // namespace bit::trainer
