// The sizes of BiT's network, from which it is built and from which its cost is counted without
// building it.
#pragma once

#include <vector>

#include "trainer/resnet_v2.h"

namespace bit::trainer {

// One bottleneck unit: 1x1 in -> mid, 3x3 mid -> mid with the stride, 1x1 mid -> out.
struct UnitShape {
  int stage = 0;
  int unit = 0;
  int in = 0;
  int mid = 0;
  int out = 0;
  int stride = 1;
  bool projection = false;  // 1x1 in -> out on the shortcut
};

int stem_channels(const ResNetConfig& config);
std::vector<UnitShape> unit_shapes(const ResNetConfig& config);
int feature_channels(const ResNetConfig& config);  // that the head sees

}  // namespace bit::trainer
