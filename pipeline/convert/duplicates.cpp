#include "pipeline/convert/duplicates.h"

#include <algorithm>
#include <tuple>

namespace bit::pipeline {
namespace {

struct HashedImage {
  ContentHash hash;
  std::uint64_t image = 0;
};

// Appends the groups in `hashed`.
void group(std::vector<HashedImage>& hashed, std::vector<std::vector<std::uint64_t>>& groups) {
  std::ranges::sort(hashed, {}, [](const HashedImage& h) { return std::tie(h.hash, h.image); });
  for (std::size_t i = 0; i < hashed.size();) {
    std::size_t end = i + 1;
    while (end < hashed.size() && hashed[end].hash == hashed[i].hash) ++end;
    if (end - i > 1) {
      auto& images = groups.emplace_back();
      for (; i < end; ++i) images.push_back(hashed[i].image);
    }
    i = end;
  }
}

}  // namespace

std::vector<std::vector<std::uint64_t>> find_duplicates(
    std::uint64_t images,
    const std::function<void(const std::function<void(std::uint64_t image, ContentHash)>&)>& scan,
    std::uint64_t memory_bytes) {
  const std::uint64_t passes = 1 + images * sizeof(HashedImage) / memory_bytes;
  std::vector<std::vector<std::uint64_t>> groups;
  for (std::uint64_t pass = 0; pass < passes; ++pass) {
    std::vector<HashedImage> hashed;
    scan([&](std::uint64_t image, ContentHash hash) {
      if (hash[1] % passes == pass && hash != ContentHash{}) hashed.push_back({hash, image});
    });
    group(hashed, groups);
  }
  std::ranges::sort(groups);
  return groups;
}

}  // namespace bit::pipeline
