// The binary index: what was added is there after mapping, and damage is told before it is used.
#include "storage/record_index.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <limits>
#include <stdexcept>

#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Labels = std::vector<std::int32_t>;

RecordIndexBuilder small_index() {
  RecordIndexBuilder builder;
  builder.begin_shard("a-of-3");
  builder.add(0, 116, Labels{5}, 500, 375, 0x1111, 0xA);
  builder.add(116, 66, Labels{0, 2}, 70'000, 20, 0x2222, 0xB);
  builder.end_shard(182);
  builder.begin_shard("empty-of-3");
  builder.end_shard(0);
  builder.begin_shard("c-of-3");
  builder.add(0, 16, Labels{}, 0, 0, 0x3333, 0xC);
  builder.end_shard(16);
  return builder;
}

class Index : public ::testing::Test {
 protected:
  void SetUp() override { small_index().write(posix_file_system(), path_); }
  std::string content() { return read_file(posix_file_system(), path_); }
  std::string error_of(const std::string& bytes) {
    write_text(directory_ / "damaged", bytes);
    return message_of<DataError>([&] { RecordIndex::open(directory_ / "damaged"); });
  }

  test::TempDirectory directory_;
  std::string path_ = directory_ / "set-train.index";
};

TEST_F(Index, gives_back_every_column) {
  const RecordIndex index = RecordIndex::open(path_);
  ASSERT_EQ(index.records(), 3u);
  ASSERT_EQ(index.shards().size(), 3u);
  EXPECT_EQ(index.shards()[0].file, "a-of-3");
  EXPECT_EQ(index.shards()[0].bytes, 182u);
  EXPECT_EQ(index.shards()[0].records, 2u);
  EXPECT_EQ(index.shards()[1].records, 0u);
  EXPECT_EQ(index.shards()[2].file, "c-of-3");
  EXPECT_EQ(index.offset(1), 116u);
  EXPECT_EQ(index.bytes(1), 66u);
  EXPECT_THAT(index.labels(0), ElementsAre(5));
  EXPECT_THAT(index.labels(1), ElementsAre(0, 2));
  EXPECT_THAT(index.labels(2), IsEmpty());
  EXPECT_EQ(index.width(0), 500u);
  EXPECT_EQ(index.height(0), 375u);
  EXPECT_EQ(index.key_hash(2), 0x3333u);
  EXPECT_EQ(index.masked_crc(2), 0xCu);
  EXPECT_NO_THROW(index.verify());
}

TEST_F(Index, a_side_that_does_not_fit_is_unknown) {
  const RecordIndex index = RecordIndex::open(path_);
  EXPECT_EQ(index.width(1), 0u);
  EXPECT_EQ(index.height(1), 0u);
}

TEST_F(Index, finds_the_shard_of_a_record_across_empty_shards) {
  const RecordIndex index = RecordIndex::open(path_);
  EXPECT_EQ(index.shard_of(0), 0u);
  EXPECT_EQ(index.shard_of(1), 0u);
  EXPECT_EQ(index.shard_of(2), 2u);
  EXPECT_EQ(index.first_record(0), 0u);
  EXPECT_EQ(index.first_record(2), 2u);
}

TEST_F(Index, sums_up_the_labels) {
  const RecordIndex index = RecordIndex::open(path_);
  EXPECT_EQ(index.label_min(), 0);
  EXPECT_EQ(index.label_max(), 5);
  EXPECT_EQ(index.classes_seen(), 3u);
}

TEST_F(Index, without_records_is_legal_and_has_no_labels) {
  RecordIndexBuilder().write(posix_file_system(), path_);
  const RecordIndex index = RecordIndex::open(path_);
  EXPECT_EQ(index.records(), 0u);
  EXPECT_EQ(index.label_max(), -1);
  EXPECT_EQ(index.classes_seen(), 0u);
}

TEST_F(Index, has_the_layout_of_the_page_on_formats) {
  const std::string bytes = content();
  EXPECT_EQ(bytes.substr(0, 8), "BITINDEX");
  const auto word = [&](std::size_t at) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, 8);
    return value;
  };
  EXPECT_EQ(word(16), bytes.size());
  EXPECT_EQ(word(32), 3u);            // shards
  EXPECT_EQ(word(40), 3u);            // records
  EXPECT_EQ(word(48), 3u);            // labels
  EXPECT_EQ(word(56), 22u);           // bytes of the names
  EXPECT_EQ(word(80 + 8), 2u);        // first record of the second shard
  EXPECT_EQ(word(80 + 32), 182u);     // bytes of the first shard
  EXPECT_EQ(word(80 + 32 + 24), 6u);  // end of the first name
  EXPECT_EQ(bytes.substr(80 + 80, 6), "a-of-3");
  EXPECT_EQ(word(80 + 80 + 24 + 8), 116u);  // offset of the second record
}

TEST_F(Index, writing_returns_the_hash_that_stands_in_the_header) {
  const std::string digits = small_index().write(posix_file_system(), directory_ / "again");
  EXPECT_EQ(digits.size(), 16u);
  EXPECT_EQ(std::stoull(digits, nullptr, 16), RecordIndex::open(path_).content_hash());
}

TEST_F(Index, offsets_of_a_shard_are_those_of_its_records) {
  const RecordIndex index = RecordIndex::open(path_);
  ASSERT_EQ(index.shards().size(), 3u);
  EXPECT_THAT(index.offsets(0), testing::ElementsAre(index.offset(0), index.offset(1)));
}

TEST_F(Index, equal_content_gives_equal_bytes_and_hash) {
  small_index().write(posix_file_system(), directory_ / "again");
  EXPECT_EQ(read_file(posix_file_system(), directory_ / "again"), content());
  RecordIndexBuilder other = small_index();
  other.begin_shard("one more");
  other.end_shard(0);
  other.write(posix_file_system(), directory_ / "other");
  EXPECT_NE(RecordIndex::open(directory_ / "other").content_hash(),
            RecordIndex::open(path_).content_hash());
}

TEST_F(Index, a_damaged_header_is_told_at_any_bit) {
  const std::string good = content();
  for (std::size_t bit = 0; bit < 80 * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THAT(error_of(bytes), HasSubstr(directory_ / "damaged: ")) << bit;
  }
}

TEST_F(Index, a_cut_or_longer_file_is_told) {
  const std::string good = content();
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(error_of(good.substr(0, size)), HasSubstr(directory_ / "damaged: ")) << size;
  }
  EXPECT_THAT(error_of(good + "x"), HasSubstr("bytes instead of"));
}

TEST_F(Index, says_what_is_wrong) {
  EXPECT_THAT(error_of(""), HasSubstr("shorter than the header"));
  EXPECT_THAT(error_of(std::string(200, 'x')), HasSubstr("not an index"));
  std::string newer = content();
  newer[8] = 9;
  EXPECT_THAT(error_of(newer), HasSubstr("version 9 of the index; this program reads 1"));
  EXPECT_THROW(RecordIndex::open(directory_ / "missing"), StorageError);
}

TEST_F(Index, a_damaged_column_is_told_by_verify_and_never_read_outside) {
  const std::string good = content();
  for (std::size_t at = 80; at < good.size(); ++at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(~bytes[at]);
    write_text(directory_ / "damaged", bytes);
    try {
      const RecordIndex index = RecordIndex::open(directory_ / "damaged");
      EXPECT_THROW(index.verify(), DataError) << at;
      for (std::uint64_t record = 0; record < index.records(); ++record) {
        static_cast<void>(index.labels(record).size());
      }
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("damaged")) << at;
    }
  }
}

TEST_F(Index, builder_refuses_what_it_cannot_hold) {
  RecordIndexBuilder builder;
  EXPECT_THROW(builder.add(0, 16, {}, 0, 0, 0, 0), std::logic_error);
  builder.begin_shard("a");
  EXPECT_THROW(builder.add(0, 16, Labels{-1}, 0, 0, 0, 0), std::invalid_argument);
  EXPECT_THROW(builder.add(0, std::uint64_t{1} << 32, {}, 0, 0, 0, 0), std::invalid_argument);
  EXPECT_THROW(builder.begin_shard("b"), std::logic_error);
  EXPECT_THROW(builder.write(posix_file_system(), path_), std::logic_error);
  EXPECT_EQ(builder.records(), 0u);
}

RC_GTEST_PROP(IndexProperty, any_records_come_back, ()) {
  const auto shards =
      *rc::gen::container<std::vector<std::vector<Labels>>>(rc::gen::container<std::vector<Labels>>(
          rc::gen::container<Labels>(rc::gen::inRange(0, 30'000))));
  RecordIndexBuilder builder;
  std::uint64_t offset = 0;
  for (const auto& records : shards) {
    builder.begin_shard("shard" + std::to_string(builder.records()));
    for (const Labels& labels : records) builder.add(offset++, 16, labels, 1, 2, 3, 4);
    builder.end_shard(offset);
  }
  const test::TempDirectory directory;
  builder.write(posix_file_system(), directory / "index");
  const RecordIndex index = RecordIndex::open(directory / "index");
  index.verify();
  std::uint64_t record = 0;
  for (std::uint32_t shard = 0; shard < shards.size(); ++shard) {
    RC_ASSERT(index.first_record(shard) == record);
    for (const Labels& labels : shards[shard]) {
      RC_ASSERT(index.shard_of(record) == shard);
      RC_ASSERT(index.offset(record) == record);
      RC_ASSERT(std::ranges::equal(index.labels(record), labels));
      ++record;
    }
  }
  RC_ASSERT(index.records() == record);
}

}  // namespace
}  // namespace bit::storage
