#include "launcher/signals.h"

#include <time.h>
#include <unistd.h>

namespace bit::launcher {
namespace {

// A signal handler is given nothing but the signal's number, so what it sets has to be static: the
// one exception to the rule against mutable globals. All are of types that a handler may touch (C++
// standard, [support.signal]).
volatile sig_atomic_t checkpoint_requested = 0;
volatile sig_atomic_t stop_signal = 0;
volatile sig_atomic_t stop_milliseconds = 0;  // monotonic, wrapped to 30 bits
volatile sig_atomic_t same_request_milliseconds = 0;

constexpr int kClockMask = (1 << 30) - 1;

int clock_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int>((now.tv_sec * 1000 + now.tv_nsec / 1000000) & kClockMask);
}

extern "C" void bit_on_checkpoint_signal(int /*number*/) { checkpoint_requested = 1; }

extern "C" void bit_on_stop_signal(int number) {
  const int now = clock_milliseconds();
  if (stop_signal == 0) {
    stop_signal = number;
    stop_milliseconds = now;
  } else if (((now - stop_milliseconds) & kClockMask) >= same_request_milliseconds) {
    _exit(128 + number);
  }
}

}  // namespace

SignalFlags::~SignalFlags() {
  if (!installed_) return;
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &previous_[i], nullptr);
}

void SignalFlags::install(std::chrono::milliseconds same_request) {
  checkpoint_requested = 0;
  stop_signal = 0;
  same_request_milliseconds = static_cast<int>(same_request.count());
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    struct sigaction action {};
    action.sa_handler = kSignals[i] == SIGUSR1 ? bit_on_checkpoint_signal : bit_on_stop_signal;
    action.sa_flags = SA_RESTART;  // reads and writes under way go on
    sigfillset(&action.sa_mask);
    sigaction(kSignals[i], &action, installed_ ? nullptr : &previous_[i]);
  }
  installed_ = true;
}

bool SignalFlags::take_checkpoint_request() {
  if (checkpoint_requested == 0) return false;
  checkpoint_requested = 0;
  return true;
}

bool SignalFlags::stop_requested() const { return stop_signal != 0; }

const char* SignalFlags::stop_signal_name() const {
  switch (stop_signal) {
    case SIGUSR2:
      return "USR2";
    case SIGTERM:
      return "TERM";
    case SIGINT:
      return "INT";
    default:
      return "";
  }
}

}  // namespace bit::launcher
