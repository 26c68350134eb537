#include "cluster/agreement.h"

#include <algorithm>

namespace bit::cluster {

void require_agreement(Communicator& communicator, const std::string& what,
                       const std::string& value) {
  constexpr int kMostListed = 16;
  const auto values = communicator.all_gather(value);
  const auto hosts = communicator.all_gather(communicator.host());
  if (std::all_of(values.begin(), values.end(), [&](const auto& v) { return v == values[0]; })) {
    return;
  }
  const auto line = [&](std::size_t r) {
    return "\n  rank " + std::to_string(r) + " on " + hosts[r] + ": " + values[r];
  };
  std::string message = what + " differs between ranks:" + line(0);
  int differing = 0;
  for (std::size_t r = 1; r < values.size(); ++r) {
    if (values[r] != values[0] && ++differing <= kMostListed) message += line(r);
  }
  if (differing > kMostListed) {
    message += "\n  and " + std::to_string(differing - kMostListed) + " more ranks";
  }
  throw DisagreementError(message);
}

}  // namespace bit::cluster
