// Logits and gradients of given weights on given images, for comparison with timm:
//   timm_logits MODEL WEIGHTS INPUTS RESULT EXPORTED
// WEIGHTS is a file of any format that model.init takes. INPUTS has `images` [N, 3, H, W] and
// `dlogits` [N, classes]; RESULT gets `logits` and one gradient per parameter under its name;
// EXPORTED gets the weights as bit-launch writes them.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstring>
#include <exception>
#include <stdexcept>

#include "trainer/optimizer.h"
#include "trainer/parameter_weights.h"

namespace {

using bit::trainer::Parameter;

at::Tensor read_tensor(const bit::storage::SafetensorsFile& file, const std::string& name) {
  const bit::storage::TensorView* view = file.find(name);
  if (view == nullptr) throw std::runtime_error("the inputs lack " + name);
  const at::Tensor tensor = at::empty(view->shape, at::kFloat);
  std::memcpy(tensor.mutable_data_ptr(), view->bytes.data(), view->bytes.size());
  return tensor;
}

void run(const std::string& model_name, const std::string& weights, const std::string& inputs,
         const std::string& result, const std::string& exported) {
  const bit::storage::SafetensorsFile input_file(inputs);
  const at::Tensor images = read_tensor(input_file, "images");
  const at::Tensor dlogits = read_tensor(input_file, "dlogits");
  bit::trainer::ResNetV2 model(
      bit::trainer::parse_model_name(model_name, static_cast<int>(dlogits.size(1))),
      bit::trainer::Precision::kFp32, /*seed=*/0);
  bit::trainer::import_weights(bit::trainer::WeightSource(weights), model.parameters(),
                               /*head_optional=*/false);
  model.weights_changed();
  const at::Tensor logits = model.forward_normalised(images);
  logits.backward(dlogits);

  std::vector<Parameter> outputs = {{"logits", logits.detach(), false}};
  // Without momentum, decay and rate the momentum buffers are the gradients.
  bit::trainer::SgdMomentum optimizer(model.parameters(), {.momentum = 0});
  optimizer.step(/*learning_rate=*/0);
  for (std::size_t i = 0; i < model.parameters().size(); ++i) {
    outputs.push_back({model.parameters()[i].name, optimizer.momentum_buffers()[i], false});
  }
  auto& files = bit::storage::posix_file_system();
  std::vector<at::Tensor> storage;
  write_safetensors(files, result, bit::trainer::export_views(outputs, storage));
  write_safetensors(files, exported, bit::trainer::export_views(model.parameters(), storage));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    fmt::print(stderr, "timm_logits MODEL WEIGHTS INPUTS RESULT EXPORTED\n");
    return 2;
  }
  try {
    run(argv[1], argv[2], argv[3], argv[4], argv[5]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "timm_logits: {}\n", error.what());
    return 1;
  }
  return 0;
}
