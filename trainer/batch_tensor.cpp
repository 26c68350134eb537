#include "trainer/batch_tensor.h"

#include <ATen/ops/from_blob.h>

namespace bit::trainer {

at::Tensor images_of(const pipeline::Batch& batch, std::uint32_t first, std::uint32_t count) {
  const auto side = static_cast<std::int64_t>(batch.image_size);
  const std::size_t image_bytes =
      static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3;
  // from_blob takes a mutable pointer; nothing writes through it.
  auto* data = const_cast<std::uint8_t*>(batch.images.data()) + first * image_bytes;
  return at::from_blob(data, {static_cast<std::int64_t>(count), side, side, 3}, at::kByte);
}

}  // namespace bit::trainer
