#include "trainer/weight_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>
#include <stdexcept>

#include "storage/tfrecord.h"

namespace bit::trainer {
namespace {

constexpr int kStages = 4;
constexpr std::int64_t kMaxRootChannels = 1024;  // width 16, the largest that has a name
constexpr std::int64_t kMaxClasses = 1 << 28;
constexpr std::size_t kNamed = 3;  // of each kind of mismatch; the rest is counted

constexpr std::array<const char*, 4> kDepths = {"R26", "R50", "R101", "R152"};

std::string name_of(const ResNetConfig& config) {
  for (const char* depth : kDepths) {
    const std::string name = fmt::format("{}x{:g}", depth, config.width);
    try {
      if (parse_model_name(name, 1).blocks == config.blocks) return name;
    } catch (const std::invalid_argument&) {
    }
  }
  return "";
}

// Units that each stage has, from the names of its weights.
std::optional<std::vector<int>> count_units(const WeightSource& source) {
  std::vector<int> blocks(kStages);
  for (const SourceWeight& weight : source.weights()) {
    int stage = 0;
    int unit = 0;
    int end = 0;
    // timm's names are canonical here: the table made them.
    if (std::sscanf(weight.name.c_str(), "stages.%4d.blocks.%5d.conv1.weight%n", &stage, &unit,
                    &end) != 2 ||
        end == 0) {
      continue;
    }
    const bool possible = stage >= 0 && stage < kStages && unit >= 0 &&
                          static_cast<std::size_t>(unit) < source.weights().size();
    if (!possible) return std::nullopt;
    auto& units = blocks[static_cast<std::size_t>(stage)];
    units = std::max(units, unit + 1);
  }
  if (std::ranges::find(blocks, 0) != blocks.end()) return std::nullopt;
  return blocks;
}

// A few of many: "a, b, c and 4 more".
std::string few(const std::vector<std::string>& all) {
  const std::size_t named = std::min(all.size(), kNamed);
  std::string text = fmt::format("{}", fmt::join(all.begin(), all.begin() + named, ", "));
  if (all.size() > named) text += fmt::format(" and {} more", all.size() - named);
  return text;
}

// timm's name, and the file's where it is another.
std::string both_names(const WeightSource& source, const std::string& name) {
  const SourceWeight* weight = source.find(name);
  const std::string there = weight != nullptr ? weight->name_there : source.name_there(name);
  return there == name ? name : fmt::format("{} ({})", there, name);
}

struct Mismatch {
  std::vector<std::string> missing, other_shape, unexpected;

  std::string text() const {
    std::vector<std::string> parts;
    if (!other_shape.empty()) parts.push_back(few(other_shape));
    if (!missing.empty()) parts.push_back("missing: " + few(missing));
    if (!unexpected.empty()) parts.push_back("not expected: " + few(unexpected));
    return fmt::format("{}", fmt::join(parts, "; "));
  }
};

Mismatch compare(const WeightSource& source, std::span<const WeightShape> wanted, bool with_head) {
  Mismatch mismatch;
  std::set<std::string_view> names;
  for (const WeightShape& one : wanted) {
    names.insert(one.name);
    if (!with_head && is_head(one.name)) continue;
    const SourceWeight* weight = source.find(one.name);
    if (weight == nullptr) {
      mismatch.missing.push_back(both_names(source, one.name));
    } else if (weight->shape != one.shape) {
      mismatch.other_shape.push_back(fmt::format("{} is {}, wanted {}",
                                                 both_names(source, one.name),
                                                 shape_text(weight->shape), shape_text(one.shape)));
    }
  }
  for (const SourceWeight& weight : source.weights()) {
    if (!with_head && is_head(weight.name)) continue;
    if (!names.contains(weight.name)) {
      mismatch.unexpected.push_back(both_names(source, weight.name));
    }
  }
  return mismatch;
}

const WeightShape* find_shape(std::span<const WeightShape> wanted, std::string_view name) {
  const auto found = std::ranges::find(wanted, name, &WeightShape::name);
  return found == wanted.end() ? nullptr : &*found;
}

// Whether the weights are without a head, or have a whole one of other classes.
bool lacks_head(const WeightSource& source, std::span<const WeightShape> wanted) {
  const SourceWeight* kernel = source.find("head.fc.weight");
  const SourceWeight* bias = source.find("head.fc.bias");
  if (kernel == nullptr && bias == nullptr) return true;
  const WeightShape* wanted_kernel = find_shape(wanted, "head.fc.weight");
  if (kernel == nullptr || bias == nullptr || wanted_kernel == nullptr || bias->shape.size() != 1) {
    return false;
  }
  std::vector<std::int64_t> of_other_classes = wanted_kernel->shape;
  of_other_classes[0] = bias->shape[0];
  return kernel->shape == of_other_classes && kernel->shape != wanted_kernel->shape;
}

}  // namespace

std::string shape_text(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::optional<SeenNetwork> see_network(const WeightSource& source) {
  const SourceWeight* root = source.find("stem.conv.weight");
  const auto blocks = count_units(source);
  if (root == nullptr || root->shape.size() != 4 || !blocks) return std::nullopt;
  const std::int64_t channels = root->shape[0];
  if (channels < kGroups || channels % kGroups != 0 || channels > kMaxRootChannels) {
    return std::nullopt;
  }
  SeenNetwork seen;
  seen.config.blocks = *blocks;
  seen.config.width = static_cast<double>(channels) / 64;  // the root at width 1 (BiT paper §3.1)
  seen.config.classes = 0;
  for (const char* name : {"head.fc.bias", "head.fc.weight"}) {
    const SourceWeight* head = source.find(name);
    if (head == nullptr || head->shape.empty()) continue;
    seen.config.classes = static_cast<int>(std::min(head->shape[0], kMaxClasses));
  }
  seen.name = name_of(seen.config);
  return seen;
}

std::string describe_network(const WeightSource& source) {
  const auto seen = see_network(source);
  if (!seen) return "no BiT network";
  const std::string name =
      !seen->name.empty() ? seen->name
                          : fmt::format("{} units of width {:g}",
                                        fmt::join(seen->config.blocks, ", "), seen->config.width);
  return seen->config.classes == 0 ? name + " without a head"
                                   : fmt::format("{} with {} classes", name, seen->config.classes);
}

WeightFit fit_weights(const WeightSource& source, std::span<const WeightShape> wanted,
                      bool head_optional) {
  WeightFit fit;
  if (head_optional) fit.head_fits = !lacks_head(source, wanted);
  const std::string mismatch = compare(source, wanted, fit.head_fits).text();
  if (!mismatch.empty()) {
    fit.problem = fmt::format("{}; the file seems to hold {}", mismatch, describe_network(source));
  }
  return fit;
}

SeenNetwork require_network(const WeightSource& source) {
  const auto seen = see_network(source);
  if (!seen) {
    throw storage::DataError(
        source.path() +
        ": no BiT network: its root, or a stage, is missing or of a size that it cannot have");
  }
  const bool with_head = seen->config.classes > 0;
  const Mismatch mismatch = compare(source, weight_shapes(seen->config), with_head);
  if (const std::string text = mismatch.text(); !text.empty()) {
    throw storage::DataError(
        fmt::format("{}: as {}: {}", source.path(), describe_network(source), text));
  }
  return *seen;
}

}  // namespace bit::trainer
