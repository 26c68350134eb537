// Exit codes of all programs. Documented in README.md; a scheduler may act on them.
#pragma once

namespace bit::launcher {

enum ExitCode : int {
  kDone = 0,
  kDifferent = 1,  // bit-model diff: there are differences, and nothing is wrong
  kUsage = 2,      // command line or configuration
  kPreflight = 3,  // ranks that do not agree, or another process at work; nothing was started
  kDataUnusable = 65,
  kInternal = 70,
  kStorage = 74,
  kStoppedEarly = 75,  // resumable: the same command goes on
  kCommLost = 76,
  kNoCheckpoint = 77,  // a checkpoint that was asked for cannot be used
  kDiverged = 78,
};

}  // namespace bit::launcher
