// Any bytes as a tar: the reader ends, every member it gives lies in the file behind the one
// before, and a stream gives the same members. Once with the bytes as they are, once with the
// checksums of all blocks made good, so that what lies behind them is explored too.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "storage/tar.h"
#include "storage/tfrecord.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/support/memory_file.h"

namespace {

using namespace bit::storage;
using bit::test::fuzz_check;

constexpr std::size_t kBlock = 512;

struct Walk {
  std::vector<TarMember> members;
  bool whole = true;
};

Walk walk(const ReadableFile& file, bool read_members) {
  Walk result;
  std::vector<std::byte> data;
  try {
    TarReader reader(file);
    while (auto member = reader.next()) {
      if (read_members && file.size() == kUnknownSize) {
        data.resize(std::min<std::uint64_t>(member->bytes, 4096));
        file.read_at(member->offset, data);
      }
      result.members.push_back(std::move(*member));
    }
  } catch (const DataError&) {
    result.whole = false;
  }
  return result;
}

bool equal(const TarMember& a, const TarMember& b) {
  return a.name == b.name && a.offset == b.offset && a.bytes == b.bytes && a.type == b.type;
}

void read(std::span<const std::byte> bytes) {
  const Walk placed = walk(bit::test::MemoryFile(bytes), false);
  std::uint64_t end = 0;
  for (const TarMember& member : placed.members) {
    fuzz_check(member.offset >= end + kBlock, "members follow each other");
    fuzz_check(member.offset <= bytes.size(), "a member starts in the file");
    fuzz_check(member.bytes <= bytes.size() - member.offset, "a member ends in the file");
    end = member.offset + member.bytes;
  }
  for (const bool read_members : {false, true}) {
    const Walk streamed = walk(bit::test::MemoryStream(bytes), read_members);
    // A stream learns only behind a member that it is cut, and wants to see the end.
    fuzz_check(streamed.members.size() >= placed.members.size(), "a stream gives every member");
    fuzz_check(
        std::equal(placed.members.begin(), placed.members.end(), streamed.members.begin(), equal),
        "a stream gives the same members");
    fuzz_check(placed.whole || !streamed.whole, "a stream finds the damage too");
  }
}

void make_checksums_good(std::span<std::byte> bytes) {
  for (; bytes.size() >= kBlock; bytes = bytes.subspan(kBlock)) {
    const auto block = bytes.first(kBlock);
    if (std::ranges::all_of(block, [](std::byte byte) { return byte == std::byte{0}; })) continue;
    const auto checksum = block.subspan(148, 8);
    std::ranges::fill(checksum, std::byte{' '});
    unsigned sum = 0;
    for (const std::byte byte : block) sum += std::to_integer<unsigned>(byte);
    for (std::size_t i = 6; i-- > 0; sum /= 8) checksum[i] = static_cast<std::byte>('0' + sum % 8);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  read(bytes);
  std::vector<std::byte> good(bytes.begin(), bytes.end());
  make_checksums_good(good);
  read(good);
  return 0;
}
