#include "trainer/weight_names.h"

#include <ATen/ATen.h>

#include <cstring>
#include <span>

#include "storage/tfrecord.h"

namespace bit::trainer {
namespace {

bool is_head(const std::string& name) { return name.starts_with("head.fc."); }

std::string describe(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(size);
  }
  return text + "]";
}

// The tensor that belongs to `parameter`, or nullptr for a head of another shape that may be left
// out.
const storage::TensorView* find_checked(const storage::SafetensorsFile& file,
                                        const Parameter& parameter, bool optional) {
  const storage::TensorView* tensor = file.find(parameter.name);
  const std::vector<std::int64_t> shape = parameter.value.sizes().vec();
  if (tensor != nullptr && tensor->shape == shape && tensor->dtype == storage::DType::kF32) {
    return tensor;
  }
  if (optional) return nullptr;
  const std::string wanted = "weights: " + parameter.name + " " + describe(shape) + " F32 ";
  if (tensor == nullptr) {
    throw storage::DataError(wanted + "is missing among the file's " +
                             std::to_string(file.tensors().size()) + " tensors");
  }
  throw storage::DataError(wanted + "is expected, the file has " + describe(tensor->shape) + " " +
                           std::string(storage::dtype_name(tensor->dtype)));
}

}  // namespace

std::vector<storage::TensorView> export_views(const std::vector<Parameter>& parameters,
                                              std::vector<at::Tensor>& storage_out) {
  std::vector<storage::TensorView> views;
  views.reserve(parameters.size());
  for (const Parameter& parameter : parameters) {
    const at::Tensor& value =
        storage_out.emplace_back(parameter.value.detach().to(at::kCPU, at::kFloat).contiguous());
    views.push_back({parameter.name,
                     storage::DType::kF32,
                     value.sizes().vec(),
                     {static_cast<const std::byte*>(value.const_data_ptr()),
                      static_cast<std::size_t>(value.nbytes())}});
  }
  return views;
}

bool import_weights(const storage::SafetensorsFile& file, const std::vector<Parameter>& parameters,
                    bool head_optional) {
  // All checks come first, so that a file that does not fit changes nothing.
  std::vector<const storage::TensorView*> sources;
  sources.reserve(parameters.size());
  bool head_found = true;
  for (const Parameter& parameter : parameters) {
    const bool optional = head_optional && is_head(parameter.name);
    sources.push_back(find_checked(file, parameter, optional));
    if (sources.back() == nullptr) head_found = false;
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (sources[i] == nullptr || (is_head(parameters[i].name) && !head_found)) continue;
    at::Tensor value = parameters[i].value.detach();
    const at::Tensor source = at::empty(value.sizes(), at::kFloat);
    std::memcpy(source.mutable_data_ptr(), sources[i]->bytes.data(), sources[i]->bytes.size());
    value.copy_(source);
  }
  return head_found;
}

}  // namespace bit::trainer
