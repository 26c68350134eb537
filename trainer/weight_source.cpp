#include "trainer/weight_source.h"

#include <algorithm>
#include <array>

#include "storage/file.h"
#include "storage/float_types.h"
#include "storage/tfrecord.h"
#include "trainer/model_path.h"

namespace bit::trainer {
namespace {

// What big_vision puts in front of weights in a checkpoint that holds more (utils.py); the rest,
// such as the state of the optimizer, is left out.
constexpr std::array<std::string_view, 2> kWrappers = {"params/", "opt/target/"};

std::string wrapper_of(const std::vector<StoredTensor>& tensors) {
  for (const std::string_view wrapper : kWrappers) {
    if (std::ranges::any_of(tensors, [&](const StoredTensor& tensor) {
          return tensor.name.starts_with(wrapper);
        })) {
      return std::string(wrapper);
    }
  }
  return "";
}

// The format in which most names are those of weights; nullopt when there is none.
std::optional<WeightFormat> format_of(const std::vector<StoredTensor>& tensors,
                                      const std::string& wrapper) {
  std::optional<WeightFormat> best;
  std::ptrdiff_t most = 0;
  for (const WeightFormat format : kWeightFormats) {
    const auto known = std::ranges::count_if(tensors, [&](const StoredTensor& tensor) {
      return tensor.name.starts_with(wrapper) &&
             timm_name(format, tensor.name.substr(wrapper.size())).has_value();
    });
    if (known > most) {
      most = known;
      best = format;
    }
  }
  return best;
}

std::string nothing_known(const std::vector<StoredTensor>& tensors) {
  if (tensors.empty()) return ": there are no tensors in it";
  return ": none of its " + std::to_string(tensors.size()) +
         " tensors has the name of a BiT weight; the first is '" + tensors.front().name + "'";
}

}  // namespace

WeightSource::WeightSource(const std::string& path, std::optional<std::uint64_t> step) {
  const ModelPath found = find_model(path);
  if (found.kind == ModelPathKind::kWeights) {
    path_ = found.path;
    container_ = open_weight_file(path_);
    wrapper_ = wrapper_of(container_->tensors());
    const auto format = format_of(container_->tensors(), wrapper_);
    if (!format) throw storage::DataError(path_ + nothing_known(container_->tensors()));
    format_ = *format;
  } else {
    const storage::CheckpointStore store(storage::posix_file_system(), found.path);
    if (found.kind == ModelPathKind::kCheckpoint) step = found.step;
    const auto manifest = chosen_manifest(store, step);
    path_ = store.path(manifest.step());
    container_ = open_checkpoint_weights(path_, manifest);
    is_checkpoint_ = true;
  }
  for (std::size_t i = 0; i < container_->tensors().size(); ++i) add(container_->tensors()[i], i);
}

void WeightSource::add(const StoredTensor& tensor, std::size_t index) {
  if (!tensor.name.starts_with(wrapper_)) return;
  SourceWeight weight{tensor.name, tensor.shape, tensor.name, 0, index};
  if (const auto name = timm_name(format_, tensor.name.substr(wrapper_.size()))) {
    weight.name = *name;
    if (auto shape = timm_shape(format_, *name, tensor.shape)) weight.shape = std::move(*shape);
  }
  if (!tensor.dtype || !storage::is_float(*tensor.dtype)) {
    throw storage::DataError(path_ + ": " + tensor.name + " has type " + tensor.type +
                             ", which is no floating-point type that is read");
  }
  weight.elements = tensor.bytes / storage::dtype_bytes(*tensor.dtype);
  const auto [other, is_new] = by_name_.emplace(weight.name, weights_.size());
  if (!is_new) {
    throw storage::DataError(path_ + ": " + tensor.name + " and " +
                             weights_[other->second].name_there + " are the same weight");
  }
  weights_.push_back(std::move(weight));
}

const SourceWeight* WeightSource::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &weights_[found->second];
}

std::string WeightSource::name_there(const std::string& timm_name) const {
  const auto name = name_in(format_, timm_name);
  return name ? wrapper_ + *name : timm_name;
}

void WeightSource::read(const SourceWeight& weight, std::span<float> out) const {
  const StoredTensor& tensor = container_->tensors()[weight.index];
  const auto read_f32 = [&](std::span<float> to) {
    if (*tensor.dtype == storage::DType::kF32) {
      container_->read(weight.index, std::as_writable_bytes(to));
      return;
    }
    std::vector<std::byte> bytes(tensor.bytes);
    container_->read(weight.index, bytes);
    storage::to_f32(*tensor.dtype, bytes, to);
  };
  if (format_ == WeightFormat::kTimm || format_ == WeightFormat::kBigTransfer ||
      weight.shape.size() != 4) {
    read_f32(out);
    return;
  }
  std::vector<float> there(weight.elements);
  read_f32(there);
  to_timm_layout(format_, weight.shape, there, out);
}

}  // namespace bit::trainer
