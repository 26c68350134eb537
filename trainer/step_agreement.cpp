#include "trainer/step_agreement.h"

#include <array>
#include <span>

namespace bit::trainer {
namespace {

double flag(bool set) { return set ? 1.0 : 0.0; }

}  // namespace

Agreement agree(cluster::Communicator& communicator, const Agreement& here) {
  std::array<double, 6> sums = {here.loss_sum,
                                communicator.rank() == 0 ? here.gradient_norm : 0.0,
                                flag(here.bad_records),
                                flag(here.checkpoint_requested),
                                flag(here.stop_requested),
                                flag(here.checkpoint_busy)};
  communicator.all_reduce(std::span<double>(sums));
  return {sums[0], sums[1], sums[2] > 0, sums[3] > 0, sums[4] > 0, sums[5] > 0};
}

Finite agree(cluster::Communicator& communicator, const Finite& here) {
  std::array<double, 2> sums = {flag(!here.momentum), flag(!here.weights)};
  communicator.all_reduce(std::span<double>(sums));
  return {sums[0] == 0, sums[1] == 0};
}

}  // namespace bit::trainer
