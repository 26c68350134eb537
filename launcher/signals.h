// Signals only raise flags; the training loop looks at them between steps.
#pragma once

#include <signal.h>

#include <array>
#include <chrono>

namespace bit::launcher {

// USR1: a checkpoint, and go on. USR2, TERM, INT: a checkpoint, and stop; a second one ends the
// process at once with exit code 128 + its number. Make one, in main. The handlers that were there
// before come back when it goes.
class SignalFlags {
 public:
  SignalFlags() = default;
  ~SignalFlags();
  SignalFlags(const SignalFlags&) = delete;
  SignalFlags& operator=(const SignalFlags&) = delete;

  // Stop signals that follow the first within `same_request` are the same request: mpirun passes a
  // signal on that the process may already have received itself.
  void install(std::chrono::milliseconds same_request = std::chrono::seconds(1));
  // True once for each USR1 (several before the call count once).
  bool take_checkpoint_request();
  bool stop_requested() const;
  // "USR2", "TERM", "INT"; "" when no stop was asked for.
  const char* stop_signal_name() const;

 private:
  static constexpr std::array<int, 4> kSignals = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
  std::array<struct sigaction, 4> previous_{};
  bool installed_ = false;
};

}  // namespace bit::launcher
