// What a failure means for the process: one final line on standard error and an exit code
// (launcher/exit_code.h).
#pragma once

#include <exception>
#include <string>

namespace bit::launcher {

// ConfigError, ResumeMismatch, std::invalid_argument -> 2, DisagreementError, LockedError -> 3,
// DataError -> 65, StorageError, SaveError -> 74, CommError -> 76, NoCheckpointError -> 77,
// DivergedError -> 78, SharedFailure -> the one it carries, everything else -> 70.
int exit_code_of(const std::exception_ptr& failure);

// True for failures that every rank meets at the same place: each rank leaves by itself and one of
// them reports.
bool is_shared(const std::exception_ptr& failure);

// What there is to say of it: lines, details and advice first, the cause last.
std::string message_of(const std::exception_ptr& failure);
// The last line of it.
std::string cause_of(const std::exception_ptr& failure);

// Prints what() and ends with one line "<program>: error: ..."; returns the exit code.
int report_and_exit_code(const std::string& program, const std::exception_ptr& failure);

}  // namespace bit::launcher
