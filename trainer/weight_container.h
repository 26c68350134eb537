// Tensors by name, wherever they lie: in a safetensors file, an .npz file, or a checkpoint. Needs
// no LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/checkpoint_store.h"
#include "storage/safetensors.h"

namespace bit::trainer {

struct StoredTensor {
  std::string name;
  std::string type;                     // as the file says it: "F32", "<f4"
  std::optional<storage::DType> dtype;  // nullopt: it can be listed, not read
  std::vector<std::int64_t> shape;
  std::uint64_t bytes = 0;
};

class WeightContainer {
 public:
  virtual ~WeightContainer() = default;
  // In the order of the file.
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  // What the file says about itself; empty for .npz.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Fills `out` (tensors()[index].bytes) with the elements in row-major order. Throws DataError
  // naming file and tensor when they are damaged.
  virtual void read(std::size_t index, std::span<std::byte> out) const = 0;

 protected:
  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

// A file, safetensors or .npz by its first bytes. Throws StorageError; DataError that names the
// file and says what it is instead.
std::unique_ptr<WeightContainer> open_weight_file(const std::string& path);

// The weights of a published checkpoint, "model/" taken off their names; the rest of its state is
// left out. `manifest` is that of `path`. Throws StorageError, DataError.
std::unique_ptr<WeightContainer> open_checkpoint_weights(
    const std::string& path, const schemas::CheckpointManifest& manifest);

}  // namespace bit::trainer
