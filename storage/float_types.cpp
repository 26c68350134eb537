#include "storage/float_types.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace bit::storage {
namespace {

template <typename Element, typename Convert>
void convert(std::span<const std::byte> from, std::span<float> to, Convert one) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    Element element{};
    std::memcpy(&element, from.data() + i * sizeof(element), sizeof(element));
    to[i] = one(element);
  }
}

float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

// IEEE 754 binary16: sign, 5 bits of exponent with bias 15, 10 of fraction.
float from_f16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const int exponent = bits >> 10 & 31;
  const std::uint32_t fraction = bits & 0x3FFu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
  const float size = exponent == 0
                         ? std::ldexp(static_cast<float>(fraction), -24)
                         : std::ldexp(static_cast<float>(fraction | 0x400u), exponent - 25);
  return sign == 0 ? size : -size;
}

float from_f64(double value) {
  constexpr float kMax = std::numeric_limits<float>::max();
  if (std::isfinite(value) && std::abs(value) > kMax) {
    // What is nearer to the largest than to what would be next is rounded to it.
    const float size = std::abs(value) < std::ldexp(2.0 - std::ldexp(1.0, -24), 127)
                           ? kMax
                           : std::numeric_limits<float>::infinity();
    return value < 0 ? -size : size;
  }
  return static_cast<float>(value);
}

}  // namespace

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kBF16 ||
         dtype == DType::kF16;
}

void to_f32(DType dtype, std::span<const std::byte> from, std::span<float> to) {
  if (from.size() != to.size() * dtype_bytes(dtype)) {
    throw std::invalid_argument("to_f32: room of another size");
  }
  switch (dtype) {
    case DType::kF32:
      return convert<float>(from, to, [](float value) { return value; });
    case DType::kF64:
      return convert<double>(from, to, from_f64);
    case DType::kBF16:
      return convert<std::uint16_t>(from, to, from_bf16);
    case DType::kF16:
      return convert<std::uint16_t>(from, to, from_f16);
    default:
      throw std::invalid_argument("to_f32: not a floating-point type");
  }
}

}  // namespace bit::storage
