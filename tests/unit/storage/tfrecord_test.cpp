// TFRecord: what is written is read; every kind of damage is told from every other and from the end
// of the file.
#include "storage/tfrecord.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>

#include "storage/crc32c.h"
#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

struct Read {
  std::vector<std::string> records;
  std::vector<RecordFault> faults;
};

Read read_all(const std::string& path, std::size_t read_bytes = std::size_t{4} << 20) {
  const auto file = posix_file_system().open(path);
  RecordReader reader(*file, read_bytes);
  Read read;
  while (const auto record = reader.next()) {
    if (record->fault) {
      read.faults.push_back(*record->fault);
    } else {
      read.records.push_back(text_of(record->data));
    }
  }
  EXPECT_FALSE(reader.next()) << "the end stays the end";
  return read;
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
  const Read read = read_all(directory / "shard", read_bytes);
  RC_ASSERT(read.records == records);
  RC_ASSERT(read.faults.empty());
}

TEST_F(TfRecord, a_file_cut_at_any_byte_is_truncated_unless_cut_between_records) {
  const auto offsets = write_records(path_, records_);
  const std::string content = read_file(posix_file_system(), path_);
  for (std::size_t size = 0; size <= content.size(); ++size) {
    write_text(directory_ / "cut", content.substr(0, size));
    const Read read = read_all(directory_ / "cut", 16);
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
    if (bit / 8 < kRecordHeaderBytes) {  // nothing after it can be found
      EXPECT_EQ(read.faults, std::vector{RecordFault::kLengthChecksum});
      EXPECT_EQ(read.records, std::vector<std::string>{"alpha"});
    } else {
      EXPECT_EQ(read.faults, std::vector{RecordFault::kDataChecksum});
      EXPECT_EQ(read.records, (std::vector<std::string>{"alpha", "gamma"}));
    }
  }
}

TEST_F(TfRecord, an_absurd_length_with_a_good_checksum_takes_no_memory) {
  std::string header(12, '\0');
  for (const std::uint64_t length : {kMaxRecordBytes, kMaxRecordBytes + 1, ~std::uint64_t{0}}) {
    std::memcpy(header.data(), &length, 8);
    const std::uint32_t crc = mask_crc32c(crc32c(bytes_of(header).first(8)));
    std::memcpy(header.data() + 8, &crc, 4);
    write_text(path_, header + "short");
    const auto expected =
        length > kMaxRecordBytes ? RecordFault::kLengthTooLarge : RecordFault::kTruncated;
    EXPECT_EQ(read_all(path_).faults, std::vector{expected});
    EXPECT_EQ(parse_record(bytes_of(header + "short")).fault, expected);
  }
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
