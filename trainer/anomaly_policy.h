// What a run does when its loss jumps or is no longer a number. Pure decisions: the same sequence
// of losses gives the same ones, on every rank and after a resume.
#pragma once

#include <cstdint>
#include <string>

namespace bit::trainer {

enum class AnomalyAction { kWarn, kSkip, kRollback, kStop };

struct AnomalySettings {
  AnomalyAction action = AnomalyAction::kStop;
  double spike_factor = 0;     // a loss above this many moving averages is a spike; 0: none is
  std::uint32_t window = 100;  // steps of the moving average
  std::uint32_t limit = 10;    // see AnomalyPolicy
};

enum class Decision {
  kUpdate,
  kUpdateAndWarn,  // a spike that is applied
  kSkip,           // no update: weights and momentum stay
  kRollback,       // the weights of the last checkpoint
  kStop
};

enum class Anomaly { kNone, kSpike, kNotFinite };

// A step that is left out or rolled back counts towards `limit`; so many of them end the run. The
// count starts again after `window` steps in a row of which none was. A spike is looked for once
// `window` losses are known; the moving average is m += (loss - m) / window, before that the mean.
// A loss whose update is left out does not enter it.
class AnomalyPolicy {
 public:
  explicit AnomalyPolicy(const AnomalySettings& settings) : settings_(settings) {}

  Anomaly anomaly_of(double loss, bool gradient_finite) const;
  // Once a step: what to do with its update, noted.
  Decision decide(Anomaly anomaly, double loss);

  bool limit_reached() const { return count_ >= settings_.limit; }
  std::uint32_t count() const { return count_; }
  double average() const { return average_; }  // 0 before the first loss

  // All of it but the settings, exactly; for checkpoints. set_state throws std::invalid_argument
  // for a text that state() did not write.
  std::string state() const;
  void set_state(const std::string& text);

 private:
  void enter(double loss);

  AnomalySettings settings_;
  double average_ = 0;
  std::uint64_t losses_ = 0;  // in the average
  std::uint32_t count_ = 0;   // of steps that were left out or rolled back
  std::uint64_t calm_ = 0;    // steps since the last of them
};

}  // namespace bit::trainer
