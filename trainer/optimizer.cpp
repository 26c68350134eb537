#include "trainer/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "trainer/kernels/sgd_sweep.h"
#include "trainer/layers.h"

namespace bit::trainer {
namespace {

using kernels::KernelRows;
using kernels::SgdConstants;
using kernels::SquareSums;

constexpr std::int64_t kPartElements = 1 << 15;

// In the memory order of the weights, whatever order autograd left it in.
at::Tensor gradient_of(const Parameter& parameter) {
  const at::Tensor& gradient = parameter.leaf().grad();
  if (!gradient.defined()) {
    throw std::logic_error("optimizer: " + parameter.name + " has no gradient");
  }
  return gradient.strides() == parameter.value.strides()
             ? gradient
             : at::empty_like(parameter.value, gradient.options()).copy_(gradient);
}

// Raw pointers: autograd neither records nor refuses a change of a leaf.
template <typename T>
T* data_of(const at::Tensor& leaf) {
  return static_cast<T*>(leaf.unsafeGetTensorImpl()->mutable_data());
}

std::int64_t row_length(const Parameter& parameter) {
  return parameter.standardized.defined() ? parameter.value.numel() / parameter.value.size(0) : 1;
}

// Rows [first, first + count) of a standardised kernel.
struct Rows {
  KernelRows shape;
  std::int64_t offset;  // in elements
};

SquareSums update_rows(const Parameter& parameter, const at::Tensor& gradient,
                       const at::Tensor& velocity, const Rows& rows, const SgdConstants& sgd) {
  float* weight = data_of<float>(parameter.value) + rows.offset;
  float* momentum = data_of<float>(velocity) + rows.offset;
  const auto update = [&](const auto* from, auto* standardized) {
    return kernels::update_standardized(rows.shape, kWeightStandardizationEpsilon, sgd,
                                        from + rows.offset, weight, momentum,
                                        standardized + rows.offset);
  };
  const at::Tensor& leaf = parameter.standardized;
  if (leaf.scalar_type() == at::kFloat) {
    return update(gradient.const_data_ptr<float>(), data_of<float>(leaf));
  }
  if (gradient.scalar_type() == at::kFloat) {
    return update(gradient.const_data_ptr<float>(), data_of<at::BFloat16>(leaf));
  }
  return update(gradient.const_data_ptr<at::BFloat16>(), data_of<at::BFloat16>(leaf));
}

double squares_of_rows(const Parameter& parameter, const at::Tensor& gradient, const Rows& rows) {
  const float* weight = parameter.value.const_data_ptr<float>() + rows.offset;
  const auto squares = [&](const auto* from) {
    return kernels::gradient_squares(rows.shape, kWeightStandardizationEpsilon, weight,
                                     from + rows.offset);
  };
  return gradient.scalar_type() == at::kFloat ? squares(gradient.const_data_ptr<float>())
                                              : squares(gradient.const_data_ptr<at::BFloat16>());
}

}  // namespace

SgdMomentum::SgdMomentum(const std::vector<Parameter>& parameters, const SgdOptions& options)
    : parameters_(parameters), options_(options), norms_(parameters.size()) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& parameter = parameters_[i];
    velocity_.push_back(at::zeros_like(parameter.value.detach()));
    const std::int64_t length = row_length(parameter);
    const std::int64_t rows = parameter.value.numel() / length;
    const std::int64_t rows_a_part = std::max<std::int64_t>(1, kPartElements / length);
    for (std::int64_t first = 0; first < rows; first += rows_a_part) {
      parts_.push_back({i, first, std::min(rows_a_part, rows - first)});
    }
  }
}

template <typename Work>
void SgdMomentum::for_each_part(Work work) const {
  std::vector<at::Tensor> gradients;
  for (const Parameter& parameter : parameters_) gradients.push_back(gradient_of(parameter));
  at::parallel_for(0, static_cast<std::int64_t>(parts_.size()), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       const auto index = static_cast<std::size_t>(i);
                       const Part& part = parts_[index];
                       const Parameter& parameter = parameters_[part.parameter];
                       const std::int64_t length = row_length(parameter);
                       work(index, parameter, gradients[part.parameter],
                            Rows{{part.count, length}, part.first * length});
                     }
                   });
}

Finite SgdMomentum::step(double learning_rate, double scale) {
  const auto constants = [&](const Parameter& parameter) {
    SgdConstants sgd;
    sgd.scale = static_cast<float>(scale);
    sgd.learning_rate = static_cast<float>(learning_rate);
    sgd.momentum = static_cast<float>(options_.momentum);
    const double decay = parameter.decay ? options_.weight_decay : 0;
    if (options_.decoupled_decay) {
      sgd.decoupled_decay = static_cast<float>(decay * learning_rate);
    } else {
      sgd.coupled_decay = static_cast<float>(decay);
    }
    return sgd;
  };
  std::vector<SquareSums> sums(parts_.size());
  for_each_part([&](std::size_t part, const Parameter& parameter, const at::Tensor& gradient,
                    const Rows& rows) {
    const at::Tensor& velocity = velocity_[parts_[part].parameter];
    sums[part] = parameter.standardized.defined()
                     ? update_rows(parameter, gradient, velocity, rows, constants(parameter))
                     : kernels::update_plain(rows.shape.rows, constants(parameter),
                                             gradient.const_data_ptr<float>() + rows.offset,
                                             data_of<float>(parameter.value) + rows.offset,
                                             data_of<float>(velocity) + rows.offset);
  });
  std::vector<SquareSums> totals(parameters_.size());
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    totals[parts_[part].parameter] += sums[part];
  }
  Finite finite;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    finite.momentum &= std::isfinite(totals[i].velocity);
    finite.weights &= std::isfinite(totals[i].weight);
    norms_[i] = {std::sqrt(totals[i].gradient), std::sqrt(totals[i].weight),
                 learning_rate * std::sqrt(totals[i].velocity)};
  }
  drop_gradients();
  return finite;
}

void SgdMomentum::drop_gradients() {
  for (const Parameter& parameter : parameters_) parameter.leaf().mutable_grad() = at::Tensor();
}

double SgdMomentum::gradient_norm(double scale) const {
  std::vector<double> squares(parts_.size());
  for_each_part([&](std::size_t part, const Parameter& parameter, const at::Tensor& gradient,
                    const Rows& rows) {
    squares[part] = parameter.standardized.defined()
                        ? squares_of_rows(parameter, gradient, rows)
                        : kernels::gradient_squares(rows.shape.rows,
                                                    gradient.const_data_ptr<float>() + rows.offset);
  });
  double sum = 0;
  for (const double value : squares) sum += value;
  return scale * std::sqrt(sum);
}

}  // namespace bit::trainer
