#include "trainer/initialization.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "pipeline/random.h"

namespace bit::trainer {
namespace {

constexpr std::int64_t kGrain = 1 << 12;  // groups of four numbers a thread takes at least

std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

using Four = std::array<double, 4>;

std::array<std::uint32_t, 4> four_words(std::uint64_t seed, std::uint64_t parameter,
                                        std::uint64_t group) {
  return pipeline::philox4x32({low(group), high(group), low(parameter), high(parameter)},
                              {low(seed), high(seed)});
}

constexpr double kUnit = 1.0 / 4294967296.0;  // words to [0, 1)

// Four standard normal numbers by two Box-Muller transforms.
Four four_normals(std::uint64_t seed, std::uint64_t parameter, std::uint64_t group) {
  const auto words = four_words(seed, parameter, group);
  Four normals{};
  for (std::size_t i = 0; i < 4; i += 2) {
    const double radius = std::sqrt(-2 * std::log((words[i] + 0.5) * kUnit));
    const double angle = 2 * std::numbers::pi * (words[i + 1] * kUnit);
    normals[i] = radius * std::cos(angle);
    normals[i + 1] = radius * std::sin(angle);
  }
  return normals;
}

// The same, with those beyond two deviations drawn anew.
Four four_cut_normals(std::uint64_t seed, std::uint64_t parameter, std::uint64_t group) {
  constexpr double kCut = 2;
  Four normals = four_normals(seed, parameter, group);
  const auto beyond = [](double value) { return std::abs(value) > kCut; };
  // Positions of parameters fill 32 bits at most: the others number the attempts.
  for (std::uint64_t attempt = 1; std::any_of(normals.begin(), normals.end(), beyond); ++attempt) {
    const Four others = four_normals(seed, parameter + (attempt << 32), group);
    for (std::size_t i = 0; i < 4; ++i) {
      if (beyond(normals[i])) normals[i] = others[i];
    }
  }
  return normals;
}

// Four numbers of mean 0 and variance 1, equally likely between -sqrt(3) and sqrt(3).
Four four_uniforms(std::uint64_t seed, std::uint64_t parameter, std::uint64_t group) {
  const auto words = four_words(seed, parameter, group);
  Four uniforms{};
  for (std::size_t i = 0; i < 4; ++i) {
    uniforms[i] = std::sqrt(3.0) * (2 * (words[i] + 0.5) * kUnit - 1);
  }
  return uniforms;
}

// four(group) are the elements from 4 * group on, before they are scaled.
template <typename MakeFour>
void fill(at::Tensor& kernel, double scale, MakeFour four) {
  const std::int64_t count = kernel.numel();
  float* values = kernel.mutable_data_ptr<float>();
  at::parallel_for(0, (count + 3) / 4, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t group = begin; group < end; ++group) {
      const Four numbers = four(static_cast<std::uint64_t>(group));
      for (std::int64_t i = 0; i < 4 && 4 * group + i < count; ++i) {
        values[4 * group + i] = static_cast<float>(scale * numbers[static_cast<std::size_t>(i)]);
      }
    }
  });
}

double fan_in(const at::Tensor& kernel) {
  return static_cast<double>(kernel.size(1) * kernel.size(2) * kernel.size(3));
}
double fan_out(const at::Tensor& kernel) {
  return static_cast<double>(kernel.size(0) * kernel.size(2) * kernel.size(3));
}

}  // namespace

void he_normal(at::Tensor kernel, std::uint64_t seed, std::uint64_t parameter) {
  fill(kernel, std::sqrt(2 / fan_out(kernel)),
       [&](std::uint64_t group) { return four_normals(seed, parameter, group); });
}

void glorot_uniform(at::Tensor kernel, std::uint64_t seed, std::uint64_t parameter) {
  fill(kernel, std::sqrt(2 / (fan_in(kernel) + fan_out(kernel))),
       [&](std::uint64_t group) { return four_uniforms(seed, parameter, group); });
}

void lecun_normal(at::Tensor kernel, std::uint64_t seed, std::uint64_t parameter) {
  // Deviation of a standard normal that is cut at -2 and 2.
  constexpr double kCutDeviation = 0.87962566103423978;
  fill(kernel, std::sqrt(1 / fan_in(kernel)) / kCutDeviation,
       [&](std::uint64_t group) { return four_cut_normals(seed, parameter, group); });
}

void small_normal(at::Tensor kernel, std::uint64_t seed, std::uint64_t parameter) {
  fill(kernel, 0.01, [&](std::uint64_t group) { return four_normals(seed, parameter, group); });
}

void initialize_kernel(KernelInitialization kind, at::Tensor kernel, std::uint64_t seed,
                       std::uint64_t parameter) {
  switch (kind) {
    case KernelInitialization::kHeNormal:
      return he_normal(std::move(kernel), seed, parameter);
    case KernelInitialization::kGlorotUniform:
      return glorot_uniform(std::move(kernel), seed, parameter);
    case KernelInitialization::kLecunNormal:
      return lecun_normal(std::move(kernel), seed, parameter);
  }
}

}  // namespace bit::trainer
