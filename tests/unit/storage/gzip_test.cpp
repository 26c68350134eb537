#include "storage/gzip.h"

#include <gtest/gtest.h>

#include <random>
#include <stdexcept>

#include "tests/support/gzip_writer.h"
#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

using ::testing::HasSubstr;

using test::deflate;
using test::kGzip;
using test::kZlib;

// Half of it noise, so that its compressed form is long too.
std::string long_text(std::size_t bytes) {
  std::mt19937 random(7);
  std::string text;
  while (text.size() < bytes) {
    text += "the same words again ";
    for (int i = 0; i < 20; ++i) text += static_cast<char>(random());
  }
  text.resize(bytes);
  return text;
}

class Gzip : public testing::Test {
 protected:
  std::unique_ptr<ReadableFile> open(std::string_view compressed) {
    write_text(path_, compressed);
    return open_gzip(posix_file_system(), path_);
  }
  static std::string read_all(const ReadableFile& file) {
    std::string all;
    std::string piece(1000, '\0');
    while (true) {
      const std::size_t count = file.read_at(all.size(), std::as_writable_bytes(std::span(piece)));
      all.append(piece, 0, count);
      if (count < piece.size()) return all;
    }
  }
  std::string failure(std::string_view compressed) {
    return message_of<DataError>([&] { read_all(*open(compressed)); });
  }

  test::TempDirectory directory_;
  std::string path_ = directory_ / "file.gz";
};

TEST_F(Gzip, files_and_zlib_streams_are_read_from_end_to_end) {
  const std::string text = long_text(3'000'000);
  for (const int format : {kGzip, kZlib}) {
    const auto file = open(deflate(text, format));
    EXPECT_EQ(file->size(), kUnknownSize);
    EXPECT_EQ(file->path(), path_);
    EXPECT_TRUE(read_all(*file) == text) << format;
  }
}

TEST_F(Gzip, members_one_after_the_other_are_one_file) {
  EXPECT_EQ(read_all(*open(deflate("one ") + deflate("") + deflate("two"))), "one two");
  EXPECT_EQ(read_all(*open(deflate(""))), "");
}

TEST_F(Gzip, zeros_behind_the_last_member_are_padding) {
  EXPECT_EQ(read_all(*open(deflate("text") + std::string(1000, '\0'))), "text");
}

TEST_F(Gzip, reading_goes_forward_over_what_is_left_out_and_never_back) {
  const std::string text = long_text(1'000'000);
  const auto file = open(deflate(text));
  std::string piece(10, '\0');
  const auto read = [&](std::uint64_t offset) {
    return piece.substr(0, file->read_at(offset, std::as_writable_bytes(std::span(piece))));
  };
  EXPECT_EQ(read(5), text.substr(5, 10));
  EXPECT_EQ(read(15), text.substr(15, 10));
  EXPECT_EQ(read(700'001), text.substr(700'001, 10));
  EXPECT_THROW(read(700'010), std::logic_error);
  EXPECT_EQ(read(999'995), text.substr(999'995));
  EXPECT_EQ(read(1'000'000), "");
}

TEST_F(Gzip, a_cut_file_is_an_error_naming_it_and_the_byte) {
  const std::string compressed = deflate(long_text(100'000));
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{5}, compressed.size() / 2,
                                  compressed.size() - 8, compressed.size() - 1}) {
    EXPECT_EQ(failure(compressed.substr(0, bytes)),
              path_ + ": at byte " + std::to_string(bytes) +
                  " of the compressed file: the file ends inside the stream");
  }
}

TEST_F(Gzip, damage_is_an_error_naming_the_file) {
  const std::string good = deflate(long_text(100'000));
  std::string checksum = good;
  checksum[checksum.size() - 8] ^= 1;
  EXPECT_THAT(failure(checksum), HasSubstr(path_ + ": at byte "));
  EXPECT_THAT(failure(checksum), HasSubstr("incorrect data check"));
  std::string header = good;
  header[2] = 7;
  EXPECT_THAT(failure(header), HasSubstr("unknown compression method"));
  EXPECT_THAT(failure(good + "garbage"), HasSubstr("what follows the end of the stream"));
  EXPECT_THAT(failure("plain text"), HasSubstr("incorrect header check"));
}

TEST_F(Gzip, damage_far_behind_does_not_keep_what_lies_before_from_being_read) {
  const std::string text = long_text(2'000'000);
  const std::string compressed = deflate(text);
  const auto file = open(compressed.substr(0, compressed.size() / 2));
  std::string piece(100'000, '\0');
  EXPECT_EQ(file->read_at(0, std::as_writable_bytes(std::span(piece))), piece.size());
  EXPECT_TRUE(piece == text.substr(0, piece.size()));
}

TEST_F(Gzip, is_told_from_other_files) {
  const auto is = [&](std::string_view content, bool or_zlib = false) {
    write_text(path_, content);
    return is_gzip(*posix_file_system().open(path_), or_zlib);
  };
  EXPECT_TRUE(is(deflate("text")));
  EXPECT_TRUE(is(deflate("")));
  EXPECT_FALSE(is(""));
  EXPECT_FALSE(is("\x1F\x8B"));
  EXPECT_FALSE(is("plain text that is long enough"));
  EXPECT_FALSE(is(deflate("text", kZlib)));
  EXPECT_TRUE(is(deflate("text", kZlib), true));
  EXPECT_TRUE(is("\x1F\x8B\x08"));  // cut, but gzip
}

TEST_F(Gzip, a_record_whose_length_looks_like_gzip_or_zlib_is_a_record) {
  // 1F 8B 08 is 559,903; 78 01 is 376: little-endian lengths.
  for (const std::size_t bytes : {std::size_t{559'903}, std::size_t{376}}) {
    write_records(path_, {std::string(bytes, 'x')});
    EXPECT_FALSE(is_gzip(*posix_file_system().open(path_), true)) << bytes;
  }
}

TEST_F(Gzip, opening_plain_or_compressed_files_gives_the_same_bytes) {
  const auto content = [&](std::string_view bytes) {
    write_text(path_, bytes);
    return read_all(*open_plain_or_gzip(posix_file_system(), path_));
  };
  EXPECT_EQ(content("text"), "text");
  EXPECT_EQ(content(deflate("text")), "text");
}

}  // namespace
}  // namespace bit::storage
