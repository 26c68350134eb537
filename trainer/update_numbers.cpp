#include "trainer/update_numbers.h"

#include <cmath>

namespace bit::trainer {

double clip_factor(double gradient_norm, double clip_norm) {
  if (clip_norm <= 0 || !std::isfinite(gradient_norm) || gradient_norm <= clip_norm) return 1;
  return clip_norm / gradient_norm;
}

void add_norms(const std::vector<UpdateNorms>& norms, double clip, StepReport& report) {
  UpdateNorms squares;
  for (const UpdateNorms& norm : norms) {
    squares.gradient += norm.gradient * norm.gradient;
    squares.weight += norm.weight * norm.weight;
    squares.update += norm.update * norm.update;
  }
  report.gradient_norm = std::sqrt(squares.gradient) / clip;
  report.parameter_norm = std::sqrt(squares.weight);
  report.update_norm = std::sqrt(squares.update);
}

LayersReport layers_of(const std::vector<Parameter>& parameters,
                       const std::vector<UpdateNorms>& norms, double clip,
                       const StepReport& report) {
  LayersReport layers{report.step, {}};
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    LayerNumbers layer{parameters[i].name, norms[i].weight, norms[i].gradient / clip,
                       norms[i].update, std::nullopt};
    if (parameters[i].standardized.defined()) {
      layer.effective_learning_rate = report.learning_rate / (norms[i].weight * norms[i].weight);
    }
    layers.layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace bit::trainer
