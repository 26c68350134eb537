// A whole network of small numbers as a weight file of any format, for tests. Link bit_weights.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "storage/npz.h"
#include "storage/safetensors.h"
#include "trainer/resnet_shape.h"
#include "trainer/weight_export.h"

namespace bit::test {

// Tensors by the name they have in the file.
struct NamedArray {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};
using Arrays = std::map<std::string, NamedArray>;

// Of a network of this name: element i of the n-th weight is n + i / 1024.
inline Arrays network_arrays(const std::string& model, int classes, trainer::WeightFormat format) {
  Arrays arrays;
  float first = 0;
  for (const auto& weight : trainer::weight_shapes(trainer::parse_model_name(model, classes))) {
    std::size_t elements = 1;
    for (const auto size : weight.shape) elements *= static_cast<std::size_t>(size);
    std::vector<float> values(elements);
    for (std::size_t i = 0; i < elements; ++i) {
      values[i] = first + static_cast<float>(i % 1024) / 1024;
    }
    NamedArray array{trainer::shape_in(format, weight.name, weight.shape),
                     std::vector<float>(elements)};
    trainer::from_timm_layout(format, weight.shape, values, array.values);
    arrays[*trainer::name_in(format, weight.name)] = std::move(array);
    ++first;
  }
  return arrays;
}

// As .npz or safetensors, by the end of the name.
inline void write_arrays(const Arrays& arrays, const std::string& path) {
  std::vector<storage::TensorView> views;
  for (const auto& [name, array] : arrays) {
    views.push_back(
        {name, storage::DType::kF32, array.shape, std::as_bytes(std::span(array.values))});
  }
  if (!path.ends_with(".npz")) {
    storage::write_safetensors(storage::posix_file_system(), path, views);
    return;
  }
  const auto file = storage::posix_file_system().create(path);
  storage::NpzWriter writer(*file);
  for (const auto& view : views) writer.add(view);
  writer.finish();
  file->close();
}

}  // namespace bit::test
