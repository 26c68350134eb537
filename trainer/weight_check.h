// Whether weights are those of a network, and of which network they seem to be. Needs no LibTorch.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trainer/resnet_shape.h"
#include "trainer/weight_source.h"

namespace bit::trainer {

// The network that names and shapes speak of.
struct SeenNetwork {
  ResNetConfig config;  // classes 0: without a head
  std::string name;     // R50x1; empty when the depth is none of BiT's
};
// From the units there are, the channels of the root and the size of the head; nullopt when the
// root or a stage is missing, or no ResNet of this kind can have them.
std::optional<SeenNetwork> see_network(const WeightSource& source);
// "R50x1 with 1000 classes", "3, 4, 5, 3 units of width 1 without a head", "no BiT network".
std::string describe_network(const WeightSource& source);

struct WeightFit {
  // Why they do not fit: the tensors that are missing, of another shape and not expected, a few of
  // each by name, and what they seem to be instead. Empty when they fit.
  std::string problem;
  // False when the head was left out of the comparison: it is missing, or whole but of other
  // classes.
  bool head_fits = true;
};
// Holds the weights against those that are wanted.
WeightFit fit_weights(const WeightSource& source, std::span<const WeightShape> wanted,
                      bool head_optional);

// The network that the weights, all of them, are of; a head may be missing. Throws DataError
// "<path>: <problem>" when they are not whole.
SeenNetwork require_network(const WeightSource& source);

std::string shape_text(std::span<const std::int64_t> shape);  // "[64, 3, 7, 7]"

}  // namespace bit::trainer
