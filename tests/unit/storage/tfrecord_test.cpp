// TFRecord: what is written is read; every kind of damage is told from every other and from the end
// of the file.
#include "storage/tfrecord.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "storage/crc32c.h"
#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

struct Read {
  std::vector<std::string> records;
  std::vector<RecordFault> faults;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> skipped;  // offset and bytes of each fault
  std::vector<std::uint64_t> indexes;                            // of all
  std::uint64_t end = 0;
};

// The records given, good and bad, must cover the file.
Read read_all(const ReadableFile& file, std::span<const std::uint64_t> known = {},
              std::size_t read_bytes = 1000) {
  RecordReader reader(file, known, read_bytes);
  Read read;
  while (const auto record = reader.next()) {
    EXPECT_EQ(record->offset, read.end);
    read.end = record->offset + record->bytes;
    read.indexes.push_back(record->index);
    if (record->fault) {
      read.faults.push_back(*record->fault);
      read.skipped.push_back({record->offset, record->bytes});
    } else {
      read.records.push_back(text_of(record->data));
    }
  }
  EXPECT_FALSE(reader.next()) << "the end stays the end";
  return read;
}

Read read_all(const std::string& path, std::span<const std::uint64_t> known = {},
              std::size_t read_bytes = 1000) {
  const auto file = posix_file_system().open(path);
  const Read read = read_all(*file, known, read_bytes);
  EXPECT_EQ(read.end, file->size());
  return read;
}

// A file in memory that can be read only once, in order, as one that is decompressed.
class Stream final : public ReadableFile {
 public:
  explicit Stream(std::string content) : content_(std::move(content)) {}
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    EXPECT_EQ(offset, read_) << "read in order";
    const std::size_t count = std::min<std::size_t>(out.size(), content_.size() - read_);
    std::memcpy(out.data(), content_.data() + read_, count);
    read_ += count;
    most_asked_ = std::max(most_asked_, out.size());
    return count;
  }
  void will_need(std::uint64_t offset, std::uint64_t bytes) const override {
    EXPECT_EQ(offset, read_) << "announced is what comes next";
    announced_ += bytes;
  }
  std::uint64_t size() const override { return kUnknownSize; }
  const std::string& path() const override { return path_; }
  std::size_t most_asked() const { return most_asked_; }
  std::uint64_t announced() const { return announced_; }

 private:
  std::string content_;
  std::string path_ = "stream";
  mutable std::size_t read_ = 0;
  mutable std::size_t most_asked_ = 0;
  mutable std::uint64_t announced_ = 0;
};

// `length` and its checksum.
std::string header_of(std::uint64_t length) {
  std::string header(kRecordHeaderBytes, '\0');
  std::memcpy(header.data(), &length, 8);
  const std::uint32_t crc = mask_crc32c(crc32c(bytes_of(header).first(8)));
  std::memcpy(header.data() + 8, &crc, 4);
  return header;
}

class TfRecord : public ::testing::Test {
 protected:
  test::TempDirectory directory_;
  std::string path_ = directory_ / "shard";
  const std::vector<std::string> records_ = {"first record", "", "third", std::string(100, 'x')};
};

// Bytes as TensorFlow's writer makes them (tf.io.TFRecordWriter, one record b"abc").
TEST_F(TfRecord, bytes_are_those_of_tensorflow) {
  write_records(path_, {"abc"});
  const std::string content = read_file(posix_file_system(), path_);
  ASSERT_EQ(content.size(), 19u);
  EXPECT_EQ(content.substr(0, 8), std::string("\3\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(content.substr(12, 3), "abc");
  std::uint32_t stored = 0;
  std::memcpy(&stored, content.data() + 15, 4);
  EXPECT_EQ(unmask_crc32c(stored), 0x364B3FB7u);  // CRC-32C of "abc"
}

TEST_F(TfRecord, reads_what_was_written_with_offsets) {
  const auto offsets = write_records(path_, records_);
  const auto file = posix_file_system().open(path_);
  RecordReader reader(*file);
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const auto record = reader.next();
    ASSERT_TRUE(record);
    EXPECT_FALSE(record->fault);
    EXPECT_EQ(record->index, i);
    EXPECT_EQ(record->offset, offsets[i]);
    EXPECT_EQ(text_of(record->data), records_[i]);
    EXPECT_EQ(record->masked_crc, mask_crc32c(crc32c(bytes_of(records_[i]))));
  }
  EXPECT_FALSE(reader.next());
}

TEST_F(TfRecord, writer_counts_records_and_bytes_and_sums_the_file) {
  const auto file = posix_file_system().create(path_);
  RecordWriter writer(*file);
  for (const std::string& record : records_) writer.append(bytes_of(record));
  file->close();
  const std::string content = read_file(posix_file_system(), path_);
  EXPECT_EQ(writer.records(), records_.size());
  EXPECT_EQ(writer.bytes(), content.size());
  EXPECT_EQ(writer.crc32c(), crc32c(bytes_of(content)));
  EXPECT_EQ(writer.last_masked_crc(), mask_crc32c(crc32c(bytes_of(records_.back()))));
}

RC_GTEST_PROP(TfRecordProperty, any_records_survive_reads_of_any_size, ()) {
  const auto records = *rc::gen::arbitrary<std::vector<std::string>>();
  const auto read_bytes = *rc::gen::inRange<std::size_t>(1, 200);
  const test::TempDirectory directory;
  write_records(directory / "shard", records);
  const Read read = read_all(directory / "shard", {}, read_bytes);
  RC_ASSERT(read.records == records);
  RC_ASSERT(read.faults.empty());
}

TEST_F(TfRecord, a_file_cut_at_any_byte_is_truncated_unless_cut_between_records) {
  const auto offsets = write_records(path_, records_);
  const std::string content = read_file(posix_file_system(), path_);
  for (std::size_t size = 0; size <= content.size(); ++size) {
    write_text(directory_ / "cut", content.substr(0, size));
    const Read read = read_all(directory_ / "cut", {}, 16);
    std::size_t whole = 0;
    while (whole < records_.size() &&
           offsets[whole] + records_[whole].size() + kRecordFramingBytes <= size) {
      ++whole;
    }
    const bool clean = size == content.size() || size == offsets[whole];
    EXPECT_EQ(read.records.size(), whole) << size;
    const auto expected =
        clean ? std::vector<RecordFault>{} : std::vector<RecordFault>{RecordFault::kTruncated};
    EXPECT_EQ(read.faults, expected) << size;
  }
}

TEST_F(TfRecord, any_flipped_bit_is_noticed_and_the_right_part_blamed) {
  const auto offsets = write_records(path_, {"alpha", "beta", "gamma"});
  const std::string content = read_file(posix_file_system(), path_);
  const std::size_t begin = offsets[1];
  for (std::size_t bit = 0; bit < 8 * (offsets[2] - begin); ++bit) {
    std::string damaged = content;
    damaged[begin + bit / 8] = static_cast<char>(damaged[begin + bit / 8] ^ (1 << (bit % 8)));
    write_text(directory_ / "damaged", damaged);
    const Read read = read_all(directory_ / "damaged");
    const auto expected =
        bit / 8 < kRecordHeaderBytes ? RecordFault::kLengthChecksum : RecordFault::kDataChecksum;
    EXPECT_EQ(read.faults, std::vector{expected});
    EXPECT_EQ(read.records, (std::vector<std::string>{"alpha", "gamma"}));
    EXPECT_THAT(read.skipped, testing::ElementsAre(std::pair(begin, offsets[2] - begin)));
  }
}

TEST_F(TfRecord, several_damaged_lengths_in_a_row_are_one_gap_without_an_index_and_named_with_one) {
  const auto offsets = write_records(path_, {"alpha", "beta", "gamma", "delta"});
  std::string content = read_file(posix_file_system(), path_);
  content[offsets[1]] = 'x';
  content[offsets[2]] = 'x';
  write_text(path_, content);
  const Read without = read_all(path_);
  EXPECT_EQ(without.records, (std::vector<std::string>{"alpha", "delta"}));
  EXPECT_THAT(without.skipped,
              testing::ElementsAre(std::pair(offsets[1], offsets[3] - offsets[1])));
  EXPECT_THAT(without.indexes, testing::ElementsAre(0, 1, 2));
  const Read with = read_all(path_, offsets);
  EXPECT_EQ(with.records, (std::vector<std::string>{"alpha", "delta"}));
  EXPECT_THAT(with.skipped, testing::ElementsAre(std::pair(offsets[1], offsets[2] - offsets[1]),
                                                 std::pair(offsets[2], offsets[3] - offsets[2])));
  EXPECT_THAT(with.indexes, testing::ElementsAre(0, 1, 2, 3));
}

TEST_F(TfRecord, a_good_record_inside_damaged_data_is_given_and_said_not_to_be_known) {
  write_records(directory_ / "inner", {"moved"});
  const std::string inner = read_file(posix_file_system(), directory_ / "inner");
  const auto offsets =
      write_records(path_, {"first", std::string(50, 'x') + inner + "more", "last"});
  std::string content = read_file(posix_file_system(), path_);
  content[offsets[1] + 20] = 'y';
  write_text(path_, content);
  EXPECT_EQ(read_all(path_).records, (std::vector<std::string>{"first", "moved", "last"}));
  const auto file = posix_file_system().open(path_);
  RecordReader reader(*file, offsets);
  std::vector<bool> indexed;
  while (const auto record = reader.next()) indexed.push_back(record->indexed);
  EXPECT_EQ(indexed, (std::vector<bool>{true, true, false, false, true}));
}

TEST_F(TfRecord, known_offsets_that_are_nonsense_lose_nothing) {
  write_records(path_, records_);
  for (const std::vector<std::uint64_t>& known :
       {std::vector<std::uint64_t>{3, 2, 1, 0}, {~std::uint64_t{0}, 5, 5}, {1, 7, 100000}}) {
    EXPECT_EQ(read_all(path_, known).records, records_);
  }
}

TEST_F(TfRecord, an_absurd_length_with_a_good_checksum_takes_no_memory) {
  const std::string good = [&] {
    write_records(path_, {"good"});
    return read_file(posix_file_system(), path_);
  }();
  for (const std::uint64_t length : {kMaxRecordBytes, kMaxRecordBytes + 1, ~std::uint64_t{0}}) {
    const std::string content = header_of(length) + "short" + good;
    write_text(path_, content);
    const auto expected =
        length > kMaxRecordBytes ? RecordFault::kLengthTooLarge : RecordFault::kTruncated;
    EXPECT_EQ(read_all(path_).faults, std::vector{expected});
    EXPECT_EQ(read_all(path_).records, std::vector<std::string>{"good"});
    EXPECT_EQ(parse_record(bytes_of(content)).fault, expected);
    const Stream stream(content);
    const Read read = read_all(stream);
    EXPECT_EQ(read.faults, std::vector{expected});
    EXPECT_EQ(read.records, std::vector<std::string>{"good"});
    EXPECT_LE(stream.most_asked(), 2000u);
  }
}

TEST_F(TfRecord, a_file_of_unknown_size_gives_records_longer_than_a_read) {
  const std::vector<std::string> records = {std::string(10'000, 'a'), "b", std::string(3000, 'c')};
  write_records(path_, records);
  const Stream stream(read_file(posix_file_system(), path_));
  EXPECT_EQ(read_all(stream).records, records);
  EXPECT_GT(stream.announced(), 0u);
}

// Headers with good checksums, each of which claims all that follows: looked into without a bound
// they would take a sum over 10^11 bytes.
TEST_F(TfRecord, a_file_made_of_headers_is_read_in_time_that_grows_with_its_size) {
  constexpr std::uint64_t kHeaders = 200'000;
  std::string content;
  std::vector<std::uint64_t> offsets;
  for (std::uint64_t i = 0; i < kHeaders; ++i) {
    offsets.push_back(content.size());
    content += header_of((kHeaders - i) * kRecordHeaderBytes - kRecordFramingBytes - 12);
  }
  write_text(path_, content);
  EXPECT_TRUE(read_all(path_).records.empty());
  EXPECT_TRUE(read_all(path_, offsets).records.empty());
}

TEST_F(TfRecord, parses_one_record_in_memory_and_ignores_what_follows) {
  write_records(path_, {"one", "two"});
  std::string content = read_file(posix_file_system(), path_);
  EXPECT_EQ(text_of(parse_record(bytes_of(content)).data), "one");
  content[13] = 'x';
  EXPECT_EQ(parse_record(bytes_of(content)).fault, RecordFault::kDataChecksum);
  EXPECT_EQ(text_of(parse_record(bytes_of(content), false).data), "oxe");
  EXPECT_EQ(parse_record(bytes_of(content).first(18)).fault, RecordFault::kTruncated);
  EXPECT_EQ(parse_record({}).fault, RecordFault::kTruncated);
}

TEST(RecordError, names_file_record_and_offset) {
  const auto error = record_error("dir/shard", 7, 1234, describe(RecordFault::kDataChecksum));
  EXPECT_STREQ(error.what(), "dir/shard: record 7 at byte 1234: the data fails its checksum");
}

}  // namespace
}  // namespace bit::storage
