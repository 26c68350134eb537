#include "trainer/parameter_weights.h"

#include <ATen/ATen.h>

#include <optional>
#include <span>

#include "storage/tfrecord.h"
#include "trainer/weight_check.h"

namespace bit::trainer {
namespace {

// Whether the head fits too. Throws DataError when the rest does not.
bool check(const WeightSource& source, const std::vector<Parameter>& parameters,
           bool head_optional) {
  std::vector<WeightShape> wanted;
  for (const Parameter& parameter : parameters) {
    wanted.push_back({parameter.name, parameter.value.sizes().vec()});
  }
  const WeightFit fit = fit_weights(source, wanted, head_optional);
  if (!fit.problem.empty()) throw storage::DataError(source.path() + ": " + fit.problem);
  return fit.head_fits;
}

// Sets every parameter, heads only with `with_head`, to what `fill` puts into a tensor of its shape
// in row-major order.
template <typename Fill>
void set(const std::vector<Parameter>& parameters, bool with_head, Fill fill) {
  for (const Parameter& parameter : parameters) {
    if (!with_head && is_head(parameter.name)) continue;
    at::Tensor value = parameter.value.detach();
    const at::Tensor dense = at::empty(value.sizes(), at::kFloat);
    fill(parameter.name, std::span(static_cast<float*>(dense.mutable_data_ptr()),
                                   static_cast<std::size_t>(dense.numel())));
    value.copy_(dense);
  }
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

bool import_weights(const WeightSource& source, const std::vector<Parameter>& parameters,
                    bool head_optional) {
  const bool head_fits = check(source, parameters, head_optional);
  set(parameters, head_fits, [&](const std::string& name, std::span<float> values) {
    source.read(*source.find(name), values);
  });
  return head_fits;
}

bool load_weights(const std::string& path, cluster::Communicator& communicator,
                  const std::vector<Parameter>& parameters) {
  std::optional<WeightSource> source;
  if (communicator.rank() == 0) source.emplace(path);
  const bool head_here = source && check(*source, parameters, /*head_optional=*/true);
  const bool head_fits = communicator.broadcast(std::string(head_here ? "head" : "")) == "head";
  set(parameters, head_fits, [&](const std::string& name, std::span<float> values) {
    if (source) source->read(*source->find(name), values);
    communicator.broadcast(std::as_writable_bytes(values));
  });
  return head_fits;
}

}  // namespace bit::trainer
