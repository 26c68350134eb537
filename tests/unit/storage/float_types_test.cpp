// Floats of other widths become the fp32 they stand for.
#include "storage/float_types.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

namespace bit::storage {
namespace {

template <typename Element>
std::vector<float> as_f32(DType dtype, const std::vector<Element>& elements) {
  std::vector<float> values(elements.size());
  to_f32(dtype, std::as_bytes(std::span(elements)), values);
  return values;
}

TEST(FloatTypes, halves_are_exact_from_the_smallest_to_infinity) {
  // IEEE 754-2008, binary16.
  const auto values = as_f32<std::uint16_t>(DType::kF16, {0x0000, 0x8000, 0x0001, 0x03FF, 0x0400,
                                                          0x3C00, 0xC000, 0x3555, 0x7BFF, 0xFC00});
  const std::vector<float> expected = {0.0F,
                                       -0.0F,
                                       5.9604644775390625e-08F,
                                       6.097555160522461e-05F,
                                       6.103515625e-05F,
                                       1.0F,
                                       -2.0F,
                                       0.333251953125F,
                                       65504.0F,
                                       -std::numeric_limits<float>::infinity()};
  EXPECT_EQ(values, expected);
  EXPECT_TRUE(std::signbit(values[1]));
  EXPECT_TRUE(std::isnan(as_f32<std::uint16_t>(DType::kF16, {0x7E00})[0]));
}

TEST(FloatTypes, bfloat16_is_the_upper_half_of_fp32) {
  EXPECT_EQ(as_f32<std::uint16_t>(DType::kBF16, {0x3F80, 0xC0A0, 0x7F80}),
            (std::vector<float>{1, -5, std::numeric_limits<float>::infinity()}));
}

TEST(FloatTypes, doubles_are_rounded_and_those_too_large_are_infinite) {
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const double max = kMax;
  EXPECT_EQ(as_f32<double>(DType::kF64, {0.1, -3, 1e39, -1e300, max * (1 + 1e-9), 1e-320}),
            (std::vector<float>{0.1F, -3, kInfinity, -kInfinity, kMax, 0}));
}

TEST(FloatTypes, whole_numbers_and_other_sizes_are_refused) {
  EXPECT_FALSE(is_float(DType::kI32));
  EXPECT_TRUE(is_float(DType::kBF16));
  EXPECT_THROW(as_f32<std::int32_t>(DType::kI32, {1}), std::invalid_argument);
  EXPECT_THROW(as_f32<float>(DType::kF64, {1}), std::invalid_argument);
}

}  // namespace
}  // namespace bit::storage
