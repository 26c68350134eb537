#include "launcher/together.h"

#include <fmt/format.h>

#include <exception>
#include <vector>

#include "launcher/errors.h"
#include "storage/crc32c.h"
#include "storage/file.h"

namespace bit::launcher {
namespace {

// "" for success, or "<exit code> <message>".
std::string outcome_of(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (...) {
    const std::exception_ptr failure = std::current_exception();
    return fmt::format("{} {}", exit_code_of(failure), message_of(failure));
  }
}

// `who` is said where the cause is: on the last line.
[[noreturn]] void fail(const std::string& outcome, const std::string& who) {
  const std::size_t space = outcome.find(' ');
  std::string message = outcome.substr(space + 1);
  const std::size_t last = message.rfind('\n');
  message.insert(last == std::string::npos ? 0 : last + 1, who);
  throw SharedFailure(std::stoi(outcome.substr(0, space)), message);
}

}  // namespace

void together(cluster::Communicator& communicator, const std::function<void()>& work) {
  const std::string mine = outcome_of(work);
  const std::vector<std::string> outcomes = communicator.all_gather(mine);
  const std::vector<std::string> hosts = communicator.all_gather(communicator.host());
  bool same = true;
  for (const auto& outcome : outcomes) same &= outcome == outcomes.front();
  for (std::size_t rank = 0; rank < outcomes.size(); ++rank) {
    if (outcomes[rank].empty()) continue;
    fail(outcomes[rank], same ? "" : fmt::format("rank {} on {}: ", rank, hosts[rank]));
  }
}

std::string from_rank_zero(cluster::Communicator& communicator,
                           const std::function<std::string()>& work) {
  std::string text;
  std::string outcome;
  if (communicator.rank() == 0) outcome = outcome_of([&] { text = work(); });
  outcome = communicator.broadcast(outcome, 0);
  if (!outcome.empty()) fail(outcome, "");
  return communicator.broadcast(text, 0);
}

std::string binary_checksum() {
  const storage::MappedFile program("/proc/self/exe");
  return fmt::format("{:08x}", storage::crc32c(program.bytes()));
}

}  // namespace bit::launcher
