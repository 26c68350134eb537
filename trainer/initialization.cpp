#include "trainer/initialization.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <array>
#include <cmath>
#include <numbers>

#include "pipeline/random.h"

namespace bit::trainer {
namespace {

constexpr std::int64_t kGrain = 1 << 12;  // groups of four numbers a thread takes at least

std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

// Four standard normal numbers by two Box-Muller transforms.
std::array<double, 4> four_normals(std::uint64_t seed, std::uint64_t parameter,
                                   std::uint64_t group) {
  const auto words = pipeline::philox4x32(
      {low(group), high(group), low(parameter), high(parameter)}, {low(seed), high(seed)});
  constexpr double kUnit = 1.0 / 4294967296.0;
  std::array<double, 4> normals{};
  for (std::size_t i = 0; i < 4; i += 2) {
    const double radius = std::sqrt(-2 * std::log((words[i] + 0.5) * kUnit));
    const double angle = 2 * std::numbers::pi * (words[i + 1] * kUnit);
    normals[i] = radius * std::cos(angle);
    normals[i + 1] = radius * std::sin(angle);
  }
  return normals;
}

}  // namespace

void he_normal(at::Tensor kernel, std::uint64_t seed, std::uint64_t parameter) {
  const std::int64_t count = kernel.numel();
  const auto fan_out = static_cast<double>(kernel.size(0) * kernel.size(2) * kernel.size(3));
  const double deviation = std::sqrt(2 / fan_out);
  float* values = kernel.mutable_data_ptr<float>();
  at::parallel_for(0, (count + 3) / 4, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t group = begin; group < end; ++group) {
      const auto normals = four_normals(seed, parameter, static_cast<std::uint64_t>(group));
      for (std::int64_t i = 0; i < 4 && 4 * group + i < count; ++i) {
        values[4 * group + i] =
            static_cast<float>(deviation * normals[static_cast<std::size_t>(i)]);
      }
    }
  });
}

}  // namespace bit::trainer
