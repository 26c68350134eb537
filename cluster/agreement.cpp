#include "cluster/agreement.h"

#include <algorithm>
#include <sstream>
#include <vector>

namespace bit::cluster {
namespace {

constexpr std::size_t kMostRanks = 16;
constexpr std::size_t kMostLines = 8;  // of one rank

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool has(const std::string& text, const std::string& line) {
  const auto lines = lines_of(text);
  return std::ranges::find(lines, line) != lines.end();
}

// The lines of `mine` that not all of `others` have, one after another.
std::string difference(const std::string& mine, const std::vector<std::string>& others) {
  std::string shown;
  std::size_t count = 0;
  for (const std::string& line : lines_of(mine)) {
    if (std::ranges::all_of(others, [&](const auto& other) { return has(other, line); })) continue;
    if (++count > kMostLines) return shown + " ...";
    shown += (count == 1 ? "" : " | ") + line;
  }
  return count > 0 ? shown : "(nothing that the other lacks)";
}

}  // namespace

void require_agreement(Communicator& communicator, const std::string& what,
                       const std::string& value) {
  const auto values = communicator.all_gather(value);
  const auto hosts = communicator.all_gather(communicator.host());
  std::vector<std::size_t> differing;
  for (std::size_t r = 1; r < values.size(); ++r) {
    if (values[r] != values[0]) differing.push_back(r);
  }
  if (differing.empty()) return;
  const std::size_t unlisted = differing.size() - std::min(differing.size(), kMostRanks);
  differing.resize(differing.size() - unlisted);
  std::string message;
  const auto add = [&](std::size_t r, const std::vector<std::string>& others) {
    message += "  rank " + std::to_string(r) + " on " + hosts[r] + ": " +
               difference(values[r], others) + "\n";
  };
  std::vector<std::string> others;
  for (const std::size_t r : differing) others.push_back(values[r]);
  add(0, others);
  for (const std::size_t r : differing) add(r, {values[0]});
  if (unlisted > 0) message += "  and " + std::to_string(unlisted) + " more ranks\n";
  throw DisagreementError(message + what + " differs between ranks");
}

}  // namespace bit::cluster
