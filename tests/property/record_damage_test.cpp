// A thousand shards, each damaged at random: flipped bits, cut tails, zeroed pages, swapped and
// duplicated blocks. Only records that were touched are lost, and what is skipped is named.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/random.h"
#include "storage/file.h"
#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

using pipeline::RandomStream;

constexpr std::uint64_t kSeeds = 1000;

class MemoryFile final : public ReadableFile, public WritableFile {
 public:
  MemoryFile() = default;
  explicit MemoryFile(std::string content) : content_(std::move(content)) {}
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset >= content_.size()) return 0;
    const std::size_t count = std::min<std::size_t>(out.size(), content_.size() - offset);
    std::memcpy(out.data(), content_.data() + offset, count);
    return count;
  }
  std::uint64_t size() const override { return content_.size(); }
  const std::string& path() const override { return path_; }
  void append(std::span<const std::byte> bytes) override {
    content_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void sync() override {}
  void close() override {}
  const std::string& content() const { return content_; }

 private:
  std::string content_;
  std::string path_ = "shard";
};

struct Shard {
  std::string content;
  std::vector<std::string> records;
  std::vector<std::uint64_t> offsets;  // of the records
};

Shard make_shard(RandomStream& random) {
  Shard shard;
  MemoryFile file;
  RecordWriter writer(file);
  const std::uint32_t count = 20 + random.below(60);
  const std::uint32_t longest = random.below(2) == 0 ? 300 : 9000;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string record(random.below(longest), '\0');
    for (char& byte : record) byte = static_cast<char>(random.below(256));
    if (random.below(4) == 0) std::fill(record.begin(), record.end(), '\0');  // pages of zeros
    shard.offsets.push_back(writer.append(std::as_bytes(std::span(record))));
    shard.records.push_back(std::move(record));
  }
  shard.content = file.content();
  return shard;
}

// A damaged copy, with the place in the pristine file that each byte came from.
struct Damaged {
  static constexpr std::uint64_t kNowhere = ~std::uint64_t{0};
  std::string content;
  std::vector<std::uint64_t> origins;

  explicit Damaged(const std::string& pristine) : content(pristine) {
    for (std::uint64_t i = 0; i < pristine.size(); ++i) origins.push_back(i);
  }
  void change(std::uint64_t at, char value) {
    if (content[at] == value) return;
    content[at] = value;
    origins[at] = kNowhere;
  }
};

std::string damage(Damaged& shard, RandomStream& random) {
  const auto size = static_cast<std::uint32_t>(shard.content.size());
  const std::uint32_t block = std::min<std::uint32_t>(512U << random.below(5), size / 3);
  const auto any_block = [&] { return random.below(size / block) * block; };
  switch (random.below(5)) {
    case 0:
      for (std::uint32_t i = 0, flips = 1 + random.below(40); i < flips; ++i) {
        const std::uint32_t at = random.below(size);
        shard.change(at, static_cast<char>(shard.content[at] ^ (1 << random.below(8))));
      }
      return "flipped bits";
    case 1:
      shard.content.resize(3 + random.below(size - 3));
      shard.origins.resize(shard.content.size());
      return "a cut tail";
    case 2:
      for (std::uint32_t i = 0, pages = 1 + random.below(4); i < pages; ++i) {
        const std::uint32_t begin = any_block();
        for (std::uint32_t at = begin; at < begin + block; ++at) shard.change(at, '\0');
      }
      return "zeroed pages";
    case 3: {
      const std::uint32_t a = any_block(), b = any_block();
      for (std::uint32_t i = 0; i < block; ++i) {
        std::swap(shard.content[a + i], shard.content[b + i]);
        std::swap(shard.origins[a + i], shard.origins[b + i]);
      }
      return "swapped blocks";
    }
    default: {
      const std::uint32_t from = any_block(), to = any_block();
      for (std::uint32_t i = 0; i < block; ++i) {
        shard.content[to + i] = shard.content[from + i];
        shard.origins[to + i] = shard.origins[from + i];
      }
      return "a duplicated block";
    }
  }
}

// Offset in the damaged file -> number of the record that lies there with all its bytes.
std::map<std::uint64_t, std::size_t> intact_records(const Shard& pristine, const Damaged& damaged) {
  std::map<std::uint64_t, std::size_t> intact;
  for (std::uint64_t at = 0; at < damaged.origins.size(); ++at) {
    const auto found = std::ranges::lower_bound(pristine.offsets, damaged.origins[at]);
    if (found == pristine.offsets.end() || *found != damaged.origins[at]) continue;
    const auto number = static_cast<std::size_t>(found - pristine.offsets.begin());
    const std::uint64_t bytes = pristine.records[number].size() + kRecordFramingBytes;
    std::uint64_t same = 0;
    while (same < bytes && at + same < damaged.origins.size() &&
           damaged.origins[at + same] == *found + same) {
      ++same;
    }
    if (same == bytes) intact[at] = number;
  }
  return intact;
}

// What a caller sees of `damaged`; fails the test when it is not the intact records and named gaps.
void expect_only_damage_is_lost(const Shard& pristine, const Damaged& damaged,
                                std::span<const std::uint64_t> known, std::size_t read_bytes) {
  auto missing = intact_records(pristine, damaged);
  const std::set<std::string> pristine_records(pristine.records.begin(), pristine.records.end());
  const MemoryFile file(damaged.content);
  RecordReader reader(file, known, read_bytes);
  std::uint64_t end = 0;
  while (const auto record = reader.next()) {
    ASSERT_EQ(record->offset, end) << "no byte is passed over without a word";
    ASSERT_GT(record->bytes, 0U);
    end = record->offset + record->bytes;
    const auto place = std::ranges::find(known, record->offset);
    ASSERT_EQ(record->indexed, place != known.end());
    if (record->indexed) {
      ASSERT_EQ(record->index, static_cast<std::uint64_t>(place - known.begin()));
    }
    if (record->fault) {
      ASSERT_TRUE(record->data.empty());
      continue;
    }
    const std::string data(reinterpret_cast<const char*>(record->data.data()), record->data.size());
    ASSERT_EQ(record->bytes, data.size() + kRecordFramingBytes);
    ASSERT_TRUE(pristine_records.contains(data)) << "nothing is made up";
    if (const auto found = missing.find(record->offset); found != missing.end()) {
      ASSERT_EQ(data, pristine.records[found->second]);
      missing.erase(found);
    }
  }
  ASSERT_EQ(end, damaged.content.size());
  ASSERT_TRUE(missing.empty()) << missing.size()
                               << " undamaged records were lost, the first at byte "
                               << missing.begin()->first;
}

TEST(RecordDamage, loses_only_damaged_records_and_names_what_it_skips) {
  std::map<std::string, std::uint64_t> kinds;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    RandomStream random(seed, 0, 0);
    const Shard pristine = make_shard(random);
    Damaged damaged(pristine.content);
    std::string what = damage(damaged, random);
    if (random.below(3) == 0) what += " and " + damage(damaged, random);
    ++kinds[what];
    const std::size_t read_bytes = random.below(2) == 0 ? 100 : 100'000;
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + what);
    expect_only_damage_is_lost(pristine, damaged, {}, read_bytes);
    expect_only_damage_is_lost(pristine, damaged, pristine.offsets, read_bytes);
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(kinds.size(), 5U + 25U) << "every kind of damage, alone and with every other";
}

}  // namespace
}  // namespace bit::storage
