#include "launcher/errors.h"

#include <fmt/core.h>

#include <cstdio>
#include <new>
#include <stdexcept>

#include "cluster/agreement.h"
#include "cluster/communicator.h"
#include "launcher/exit_code.h"
#include "launcher/together.h"
#include "launcher/verdict.h"
#include "storage/file.h"
#include "storage/lock_file.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

Verdict verdict_of(const std::exception_ptr& failure) {
  if (auto training = training_verdict(failure)) return *training;
  try {
    std::rethrow_exception(failure);
  } catch (const SharedFailure& error) {
    return {error.exit_code(), true, error.what()};
  } catch (const std::invalid_argument& error) {
    return {kUsage, false, error.what()};
  } catch (const cluster::DisagreementError& error) {
    return {kPreflight, true, error.what()};
  } catch (const storage::LockedError& error) {
    return {kPreflight, false, error.what()};
  } catch (const storage::DataError& error) {
    return {kDataUnusable, false, error.what()};
  } catch (const storage::StorageError& error) {
    return {kStorage, false, error.what()};
  } catch (const cluster::CommError& error) {
    return {kCommLost, false, error.what()};
  } catch (const std::bad_alloc&) {
    return {kInternal, false, "out of memory"};
  } catch (const std::exception& error) {
    return {kInternal, false, fmt::format("unexpected: {}", error.what())};
  } catch (...) {
    return {kInternal, false, "unexpected: a failure without a description"};
  }
}

}  // namespace

int exit_code_of(const std::exception_ptr& failure) { return verdict_of(failure).exit_code; }

bool is_shared(const std::exception_ptr& failure) { return verdict_of(failure).shared; }

std::string message_of(const std::exception_ptr& failure) { return verdict_of(failure).message; }

std::string cause_of(const std::exception_ptr& failure) {
  const std::string message = message_of(failure);
  return message.substr(message.rfind('\n') + 1);  // npos + 1 is 0
}

int report_and_exit_code(const std::string& program, const std::exception_ptr& failure) {
  const Verdict verdict = verdict_of(failure);
  const std::size_t cause = verdict.message.rfind('\n') + 1;  // npos + 1 is 0
  const std::string text = fmt::format("{}{}: error: {}\n", verdict.message.substr(0, cause),
                                       program, verdict.message.substr(cause));
  std::fflush(stdout);
  std::fwrite(text.data(), 1, text.size(), stderr);  // in one piece: other ranks may write as well
  std::fflush(stderr);
  return verdict.exit_code;
}

}  // namespace bit::launcher
