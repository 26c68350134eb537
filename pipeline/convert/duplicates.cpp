#include "pipeline/convert/duplicates.h"

#include <algorithm>
#include <compare>

namespace bit::pipeline {

Duplicates find_duplicates(std::span<Sighting> sightings) {
  std::ranges::sort(sightings);
  Duplicates found;
  std::size_t first = 0;  // of the run of equal hashes
  for (std::size_t i = 1; i < sightings.size(); ++i) {
    if (sightings[i].hash != sightings[first].hash) {
      first = i;
      continue;
    }
    ++found.records;
    const Duplicates::Pair pair{sightings[first].place, sightings[i].place};
    const auto at = std::ranges::upper_bound(found.pairs, pair.again, {}, &Duplicates::Pair::again);
    if (at == found.pairs.end() && found.pairs.size() == kShownDuplicates) continue;
    found.pairs.insert(at, pair);
    if (found.pairs.size() > kShownDuplicates) found.pairs.pop_back();
  }
  return found;
}

}  // namespace bit::pipeline
