#include "pipeline/jpeg/entropy.h"

#include <algorithm>

namespace bit::pipeline {
namespace {

constexpr std::uint8_t kRestart0 = 0xD0, kEndOfImage = 0xD9;

// The first 0xFF of [begin, end), or end.
const std::uint8_t* find_ff(const std::uint8_t* begin, const std::uint8_t* end) {
  const void* found = begin == end ? nullptr : std::memchr(begin, 0xFF, end - begin);
  return found == nullptr ? end : static_cast<const std::uint8_t*>(found);
}

std::uint8_t* copy(const std::uint8_t* begin, const std::uint8_t* end, std::uint8_t* out) {
  if (begin != end) std::memcpy(out, begin, end - begin);
  return out + (end - begin);
}

}  // namespace

std::optional<EntropyCoded> take_entropy_coded(std::span<const std::byte> coded,
                                               std::size_t intervals) {
  const auto* next = reinterpret_cast<const std::uint8_t*>(coded.data());
  const auto* end = next + coded.size();
  EntropyCoded taken{std::make_unique_for_overwrite<std::uint8_t[]>(coded.size() + kEntropyPadding),
                     {}};
  std::uint8_t* const begin = taken.bytes.get();
  std::uint8_t* out = begin;
  for (;;) {
    const std::uint8_t* ff = find_ff(next, end);
    out = copy(next, ff, out);
    const int marker = end - ff < 2 ? kEndOfImage : ff[1];
    next = ff + 2;
    if (marker == 0) {
      *out++ = 0xFF;
      continue;
    }
    taken.ends.push_back(static_cast<std::size_t>(out - begin));
    if (marker == kEndOfImage) break;
    const auto expected = static_cast<int>(kRestart0 + (taken.ends.size() - 1) % 8);
    if (marker != expected || taken.ends.size() == intervals) return std::nullopt;
  }
  if (taken.ends.size() != intervals) return std::nullopt;
  std::fill_n(out, kEntropyPadding, std::uint8_t{0});
  return taken;
}

void put_entropy_coded(const EntropyCoded& coded, std::vector<std::byte>& out) {
  const std::uint8_t* next = coded.bytes.get();
  const std::size_t size = coded.ends.back();
  const auto stuffed = static_cast<std::size_t>(std::count(next, next + size, 0xFF));
  const std::size_t header = out.size();
  out.resize(header + size + stuffed + 2 * coded.ends.size());
  auto* to = reinterpret_cast<std::uint8_t*>(out.data() + header);
  for (std::size_t i = 0; i < coded.ends.size(); ++i) {
    const std::uint8_t* end = coded.bytes.get() + coded.ends[i];
    for (const std::uint8_t* ff; (ff = find_ff(next, end)) != end; next = ff + 1) {
      to = copy(next, ff + 1, to);
      *to++ = 0;
    }
    to = copy(next, end, to);
    next = end;
    *to++ = 0xFF;
    *to++ = i + 1 == coded.ends.size() ? kEndOfImage : static_cast<std::uint8_t>(kRestart0 + i % 8);
  }
}

}  // namespace bit::pipeline
