#include <fmt/core.h>

#include "launcher/config.h"
#include "launcher/verdict.h"
#include "trainer/checkpointer.h"
#include "trainer/train_loop.h"

namespace bit::launcher {
namespace {

std::string config_message(const ConfigError& error) {
  const std::size_t count = error.mistakes().size();
  if (count == 1) return error.what();
  return fmt::format("{}\n{} mistakes in the configuration; nothing was started", error.what(),
                     count);
}

}  // namespace

std::optional<Verdict> training_verdict(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const ConfigError& error) {
    return Verdict{kUsage, false, config_message(error)};
  } catch (const trainer::ResumeMismatch& error) {
    return Verdict{kUsage, true, error.what()};
  } catch (const trainer::SaveError& error) {
    return Verdict{kStorage, true, error.what()};
  } catch (const trainer::NoCheckpointError& error) {
    return Verdict{kNoCheckpoint, true, error.what()};
  } catch (const trainer::DivergedError& error) {
    return Verdict{kDiverged, true, error.what()};
  } catch (...) {
    return std::nullopt;
  }
}

}  // namespace bit::launcher
