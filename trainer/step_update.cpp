#include "trainer/step_update.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "storage/checkpoint_store.h"
#include "trainer/run_state.h"
#include "trainer/step_agreement.h"
#include "trainer/update_numbers.h"

namespace bit::trainer {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

const char* name_of(Decision decision) {
  switch (decision) {
    case Decision::kUpdate:
      return "none";
    case Decision::kUpdateAndWarn:
      return "warn";
    case Decision::kSkip:
      return "skip";
    case Decision::kRollback:
      return "rollback";
    case Decision::kStop:
      return "stop";
  }
  return "";
}

void without_update(StepReport& report) {
  report.parameter_norm = report.update_norm = kUnknown;
  report.updated = false;
}

}  // namespace

bool StepUpdate::wants_norm() const {
  return run_.settings.clip_norm > 0 || run_.settings.anomaly.action != AnomalyAction::kStop;
}

double StepUpdate::gradient_norm() const {
  return wants_norm() ? run_.optimizer.gradient_norm(mean_scale()) : kUnknown;
}

void StepUpdate::run(StepReport& report) {
  const double average = run_.policy.average();
  const bool finite = !wants_norm() || std::isfinite(report.gradient_norm);
  const Anomaly anomaly = run_.policy.anomaly_of(report.loss, finite);
  const Decision decision = run_.policy.decide(anomaly, report.loss);
  if (anomaly != Anomaly::kNone) {
    const Cause cause{anomaly, cause_text(anomaly, average, report), average,
                      anomaly == Anomaly::kNotFinite};
    act(cause, decision, report);
  }
  if (decision == Decision::kUpdate || decision == Decision::kUpdateAndWarn) {
    apply(report, average);
  } else {
    run_.optimizer.drop_gradients();
    without_update(report);
  }
}

void StepUpdate::apply(StepReport& report, double average) {
  const double clip = clip_factor(report.gradient_norm, run_.settings.clip_norm);
  const Finite finite =
      agree(run_.communicator, run_.optimizer.step(report.learning_rate, mean_scale() * clip));
  if (finite.momentum && finite.weights) {
    add_norms(run_.optimizer.norms(), clip, report);
    const std::uint32_t every = run_.settings.layers_every;
    if (every > 0 && report.step % every == 0) {
      run_.sink.layers(layers_of(run_.model.parameters(), run_.optimizer.norms(), clip, report));
    }
    return;
  }
  // Too late to leave the update out.
  without_update(report);
  const Decision decision = run_.policy.decide(Anomaly::kNotFinite, report.loss);
  const std::string what = finite.momentum ? "the updated weights are" : "the gradient is";
  act({Anomaly::kNotFinite,
       fmt::format("{} not finite at step {} (learning rate {:g})", what, report.step,
                   report.learning_rate),
       average, !finite.momentum},
      decision == Decision::kRollback ? decision : Decision::kStop, report);
}

std::string StepUpdate::cause_text(Anomaly anomaly, double average,
                                   const StepReport& report) const {
  const std::string at =
      fmt::format("at step {} (learning rate {:g})", report.step, report.learning_rate);
  if (anomaly == Anomaly::kSpike) {
    return fmt::format("the loss of {:.4g} is above {:g} x its average of {:.4g} {}", report.loss,
                       run_.settings.anomaly.spike_factor, average, at);
  }
  return fmt::format("the {} is not finite {}", std::isfinite(report.loss) ? "gradient" : "loss",
                     at);
}

// Goes back or ends the run when that was decided, and says so.
void StepUpdate::act(const Cause& cause, Decision decision, const StepReport& report) {
  AnomalyReport met{.step = report.step,
                    .kind = cause.anomaly == Anomaly::kSpike ? "spike" : "not finite",
                    .action = {},
                    .loss = report.loss,
                    .average = cause.average,
                    .gradient_norm = report.gradient_norm,
                    .count = run_.policy.count(),
                    .back_to = std::nullopt};
  std::string why;
  if (decision == Decision::kRollback) {
    met.back_to = roll_back(cause.text, report.step);
    if (!met.back_to) {
      decision = Decision::kStop;
      why = ", and there is no checkpoint to go back to";
    }
  }
  met.action = name_of(decision);
  run_.sink.anomaly(met);
  std::string done = "it is applied";
  if (decision == Decision::kSkip) done = "its update is left out";
  if (met.back_to) done = fmt::format("back to the weights of step {}", *met.back_to);
  if (decision != Decision::kStop) {
    run_.sink.note(cause.text + ": " + done);
    return;
  }
  if (run_.settings.anomaly.action != AnomalyAction::kStop && run_.policy.limit_reached()) {
    why = fmt::format(", the last of {} that anomaly.limit allows", run_.settings.anomaly.limit);
  }
  diverged(cause.text + why, report.step, cause.state_led_here);
}

// The weights and the momentum of the newest good checkpoint, but for one of the state that failed.
// The step and the data go on: the batches since then are not seen again. Returns its step; nothing
// when there is none.
std::optional<std::uint64_t> StepUpdate::roll_back(const std::string& cause, std::uint64_t step) {
  report_save(run_.checkpointer.drain(), run_.sink);
  storage::CheckpointStore store = run_.checkpointer.store();
  if (run_.communicator.rank() == 0) set_aside_before(store, step, cause);
  const auto manifest = choose_checkpoint(store, run_.communicator, run_.sink);
  if (!manifest) return std::nullopt;
  restore_state(store, *manifest, run_.communicator, state_of(run_.model, run_.optimizer));
  run_.model.weights_changed();
  return manifest->step();
}

void StepUpdate::diverged(const std::string& cause, std::uint64_t step, bool state_led_here) {
  if (const auto saved = run_.checkpointer.drain()) run_.sink.checkpoint(*saved);
  std::string left;
  if (run_.communicator.rank() == 0) {
    storage::CheckpointStore store = run_.checkpointer.store();
    left = state_led_here ? set_aside_before(store, step, cause) : newest_good(store);
  }
  throw DivergedError(
      "A lower optimizer.learning_rate or a longer schedule.warmup usually helps, or another "
      "anomaly.policy: change them and start again.\n" +
      cause + "; " + run_.communicator.broadcast(left, 0));
}

}  // namespace bit::trainer
