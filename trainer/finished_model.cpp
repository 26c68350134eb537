#include "trainer/finished_model.h"

#include <algorithm>
#include <map>

#include "storage/file.h"
#include "storage/safetensors.h"
#include "storage/tfrecord.h"
#include "trainer/parameter_weights.h"

namespace bit::trainer {
namespace {

std::map<std::string, std::string> metadata_of(const FinishedModel& model) {
  return {{"format", "pt"}, {"model", model.name}, {"step", std::to_string(model.step)}};
}

}  // namespace

bool is_written(const FinishedModel& model, const std::vector<Parameter>& parameters) {
  if (!storage::posix_file_system().exists(model.path)) return false;
  try {
    const storage::SafetensorsFile file(model.path);
    if (file.metadata() != metadata_of(model)) return false;
    std::vector<at::Tensor> owned;
    const auto views = export_views(parameters, owned);
    return file.tensors().size() == views.size() &&
           std::ranges::all_of(views, [&](const storage::TensorView& view) {
             const storage::TensorView* found = file.find(view.name);
             return found != nullptr && found->shape == view.shape &&
                    std::ranges::equal(found->bytes, view.bytes);
           });
  } catch (const storage::DataError&) {
    return false;
  }
}

void write_model(const FinishedModel& model, const std::vector<Parameter>& parameters) {
  std::vector<at::Tensor> owned;
  const auto views = export_views(parameters, owned);
  storage::write_file_atomically(storage::posix_file_system(), model.path,
                                 [&](storage::WritableFile& file) {
                                   storage::write_safetensors(file, views, metadata_of(model));
                                 });
}

}  // namespace bit::trainer
