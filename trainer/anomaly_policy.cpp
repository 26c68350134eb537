#include "trainer/anomaly_policy.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <locale>
#include <sstream>
#include <stdexcept>

namespace bit::trainer {

Anomaly AnomalyPolicy::anomaly_of(double loss, bool gradient_finite) const {
  if (!std::isfinite(loss) || !gradient_finite) return Anomaly::kNotFinite;
  const bool spike = settings_.spike_factor > 0 && losses_ >= settings_.window &&
                     loss > settings_.spike_factor * average_;
  return spike ? Anomaly::kSpike : Anomaly::kNone;
}

Decision AnomalyPolicy::decide(Anomaly anomaly, double loss) {
  if (anomaly != Anomaly::kNone && settings_.action == AnomalyAction::kStop) return Decision::kStop;
  const bool applied = anomaly == Anomaly::kNone ||
                       (anomaly == Anomaly::kSpike && settings_.action == AnomalyAction::kWarn);
  if (applied) {
    enter(loss);
    if (++calm_ >= settings_.window) count_ = 0;
    return anomaly == Anomaly::kNone ? Decision::kUpdate : Decision::kUpdateAndWarn;
  }
  calm_ = 0;
  ++count_;
  if (limit_reached()) return Decision::kStop;
  return settings_.action == AnomalyAction::kRollback ? Decision::kRollback : Decision::kSkip;
}

void AnomalyPolicy::enter(double loss) {
  ++losses_;
  average_ += (loss - average_) / static_cast<double>(std::min<std::uint64_t>(
                                      losses_, std::max<std::uint32_t>(1, settings_.window)));
}

std::string AnomalyPolicy::state() const {
  return fmt::format("{:.17g} {} {} {}", average_, losses_, count_, calm_);
}

void AnomalyPolicy::set_state(const std::string& text) {
  std::istringstream words(text);
  words.imbue(std::locale::classic());
  AnomalyPolicy read(settings_);
  if (!(words >> read.average_ >> read.losses_ >> read.count_ >> read.calm_) ||
      !(words >> std::ws).eof()) {
    throw std::invalid_argument("'" + text + "' is no state of the anomaly policy");
  }
  *this = read;
}

}  // namespace bit::trainer
