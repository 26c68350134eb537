// Weights of BiT's network under timm's names and in timm's shapes, from a file of any format, a
// checkpoint or a run. Needs no LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/weight_container.h"
#include "trainer/weight_names.h"

namespace bit::trainer {

struct SourceWeight {
  std::string name;  // timm's; of a tensor that is no weight of BiT's network: the file's
  std::vector<std::int64_t> shape;  // timm's
  std::string name_there;           // what the file calls it
  std::uint64_t elements = 0;
  std::size_t index = 0;  // in the container
};

class WeightSource {
 public:
  // `path`: a safetensors or .npz file, whose format is told by its names; a checkpoint (step-<n>);
  // a run, of which the newest checkpoint is taken, or the one of `step`. Every byte of a
  // checkpoint is checked. Throws StorageError; NoUsableCheckpoint; DataError when no name is that
  // of a weight, a weight is there twice under two names, or is not of a floating-point type.
  explicit WeightSource(const std::string& path, std::optional<std::uint64_t> step = std::nullopt);

  const std::string& path() const { return path_; }  // of the file or the checkpoint
  WeightFormat format() const { return format_; }
  bool is_checkpoint() const { return is_checkpoint_; }
  // Of safetensors files and checkpoints: "model" and "step" when they are known.
  const std::map<std::string, std::string>& metadata() const { return container_->metadata(); }

  const std::vector<SourceWeight>& weights() const { return weights_; }  // in the order of the file
  const SourceWeight* find(std::string_view name) const;                 // nullptr when absent
  // What the file would call a weight, for messages.
  std::string name_there(const std::string& timm_name) const;

  // Fills `out` (weight.elements) with the elements as fp32 in timm's layout. Throws DataError when
  // they are damaged. Memory: up to two more copies of this tensor.
  void read(const SourceWeight& weight, std::span<float> out) const;

 private:
  void add(const StoredTensor& tensor, std::size_t index);

  std::string path_;
  std::unique_ptr<WeightContainer> container_;
  WeightFormat format_ = WeightFormat::kTimm;
  bool is_checkpoint_ = false;
  std::string wrapper_;  // in front of the names of weights: "params/"
  std::vector<SourceWeight> weights_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
};

}  // namespace bit::trainer
