// The POSIX file system: what is written is read, and what fails is named.
#include "storage/file.h"

#include <cerrno>
#include <stdexcept>
#include <utility>

#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class PosixFiles : public ::testing::Test {
 protected:
  test::TempDirectory directory_;
  FileSystem& files_ = posix_file_system();
};

TEST_F(PosixFiles, reads_at_any_position_what_was_appended_in_pieces_of_any_size) {
  std::string expected;
  const auto file = files_.create(directory_ / "file");
  for (const std::size_t size : {1, 1000, 300'000, 7, 262'144, 0, 262'143, 2, 900'000}) {
    const std::string piece(size, static_cast<char>('a' + expected.size() % 26));
    file->append(bytes_of(piece));
    expected += piece;
  }
  file->sync();
  file->close();

  EXPECT_EQ(read_file(files_, directory_ / "file"), expected);
  EXPECT_EQ(files_.file_size(directory_ / "file"), expected.size());
  const auto reader = files_.open(directory_ / "file");
  std::vector<std::byte> part(5000);
  EXPECT_EQ(reader->read_at(299'000, part), part.size());
  EXPECT_EQ(text_of(part), expected.substr(299'000, 5000));
}

TEST_F(PosixFiles, read_past_the_end_gives_what_there_is) {
  write_text(directory_ / "file", "0123456789");
  const auto reader = files_.open(directory_ / "file");
  std::vector<std::byte> part(8);
  EXPECT_EQ(reader->read_at(6, part), 4u);
  EXPECT_EQ(reader->read_at(10, part), 0u);
  EXPECT_EQ(reader->size(), 10u);
}

TEST_F(PosixFiles, errors_name_the_operation_the_path_and_the_reason) {
  const std::string missing = directory_ / "no/such file";
  const auto says = [&](const char* operation) {
    return AllOf(StartsWith(operation), HasSubstr(missing), HasSubstr("No such file"));
  };
  EXPECT_THAT(message_of<StorageError>([&] { files_.open(missing); }), says("open "));
  EXPECT_THAT(message_of<StorageError>([&] { files_.create(missing); }), says("create "));
  EXPECT_THAT(message_of<StorageError>([&] { files_.remove(missing); }), says("remove "));
  EXPECT_THAT(message_of<StorageError>([&] { files_.list(missing); }), says("list "));
  EXPECT_THAT(message_of<StorageError>([&] { files_.file_size(missing); }), says("stat "));
  EXPECT_THAT(message_of<StorageError>([&] { files_.rename(missing, directory_ / "to"); }),
              says("rename "));
  EXPECT_THAT(message_of<StorageError>([&] { files_.sync_directory(missing); }), says("open "));
  EXPECT_THAT(message_of<StorageError>([&] { MappedFile file(missing); }), says("open "));
}

TEST_F(PosixFiles, an_error_carries_path_and_code) {
  try {
    files_.open(directory_ / "missing");
    FAIL();
  } catch (const StorageError& error) {
    EXPECT_EQ(error.path(), directory_ / "missing");
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
  }
}

TEST_F(PosixFiles, a_directory_is_not_opened_as_a_file) {
  EXPECT_THAT(message_of<StorageError>([&] { files_.open(directory_.path()); }),
              HasSubstr("Is a directory"));
  EXPECT_THAT(message_of<StorageError>([&] { files_.file_size(directory_.path()); }),
              HasSubstr("Is a directory"));
}

TEST_F(PosixFiles, a_file_in_the_way_of_a_directory_is_named) {
  write_text(directory_ / "file", "");
  EXPECT_THAT(message_of<StorageError>([&] { files_.make_directories(directory_ / "file/below"); }),
              HasSubstr(directory_ / "file/below"));
}

TEST_F(PosixFiles, a_full_disk_is_reported_with_the_file_by_whatever_call_meets_it) {
  const auto full = files_.create("/dev/full");
  full->append(bytes_of("small appends are gathered"));
  EXPECT_THAT(message_of<StorageError>([&] { full->sync(); }),
              AllOf(HasSubstr("write /dev/full"), HasSubstr("No space left")));
  const std::string large(1'000'000, 'x');
  EXPECT_THROW(full->append(bytes_of(large)), StorageError);
  full->append(bytes_of("again"));
  EXPECT_THROW(full->close(), StorageError);
}

TEST_F(PosixFiles, lists_entries_in_byte_order) {
  for (const char* name : {"b", "a", "Z", ".hidden"}) write_text(directory_ / name, "");
  files_.make_directories(directory_ / "dir/below");
  const auto entries = files_.list(directory_.path());
  std::vector<std::pair<std::string, bool>> seen;
  for (const auto& entry : entries) seen.emplace_back(entry.name, entry.is_directory);
  const std::vector<std::pair<std::string, bool>> expected = {
      {".hidden", false}, {"Z", false}, {"a", false}, {"b", false}, {"dir", true}};
  EXPECT_EQ(seen, expected);
}

TEST_F(PosixFiles, exists_tells_missing_from_present) {
  write_text(directory_ / "file", "");
  EXPECT_TRUE(files_.exists(directory_ / "file"));
  EXPECT_TRUE(files_.exists(directory_.path()));
  EXPECT_FALSE(files_.exists(directory_ / "other"));
  EXPECT_FALSE(files_.exists(directory_ / "file/below"));
}

TEST_F(PosixFiles, removes_trees_and_renames_over_files) {
  files_.make_directories(directory_ / "tree/a/b");
  write_text(directory_ / "tree/a/file", "x");
  files_.remove_tree(directory_ / "tree");
  EXPECT_FALSE(files_.exists(directory_ / "tree"));

  write_text(directory_ / "from", "new");
  write_text(directory_ / "to", "old");
  files_.rename(directory_ / "from", directory_ / "to");
  EXPECT_EQ(read_file(files_, directory_ / "to"), "new");
  EXPECT_FALSE(files_.exists(directory_ / "from"));
}

TEST_F(PosixFiles, an_atomic_write_replaces_the_content_and_leaves_nothing_else) {
  write_text(directory_ / "file", "old");
  write_file_atomically(files_, directory_ / "file", "new");
  EXPECT_EQ(read_file(files_, directory_ / "file"), "new");
  EXPECT_EQ(files_.list(directory_.path()).size(), 1u);
}

TEST_F(PosixFiles, an_atomic_write_that_fails_leaves_the_old_content_and_nothing_else) {
  write_text(directory_ / "file", "old");
  const auto fail = [](WritableFile& file) {
    file.append(bytes_of("half"));
    throw std::runtime_error("stop");
  };
  EXPECT_THROW(write_file_atomically(files_, directory_ / "file", fail), std::runtime_error);
  EXPECT_EQ(read_file(files_, directory_ / "file"), "old");
  EXPECT_EQ(files_.list(directory_.path()).size(), 1u);
}

TEST_F(PosixFiles, an_atomic_write_into_a_missing_directory_names_it) {
  EXPECT_THAT(message_of<StorageError>(
                  [&] { write_file_atomically(files_, directory_ / "no/file", "text"); }),
              HasSubstr(directory_ / "no/file"));
}

TEST_F(PosixFiles, a_mapping_holds_the_bytes_and_moves) {
  write_text(directory_ / "file", "mapped");
  write_text(directory_ / "empty", "");
  MappedFile file(directory_ / "file");
  EXPECT_TRUE(MappedFile(directory_ / "empty").bytes().empty());
  MappedFile moved(std::move(file));
  MappedFile assigned(directory_ / "empty");
  assigned = std::move(moved);
  EXPECT_EQ(text_of(assigned.bytes()), "mapped");
}

TEST(FileHints, change_nothing_that_is_read) {
  const test::TempDirectory directory;
  write_text(directory / "file", std::string(100'000, 'x'));
  const auto file = posix_file_system().open(directory / "file");
  constexpr std::uint64_t kFar = ~std::uint64_t{0};
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{50'001}, kFar}) {
    for (const std::uint64_t bytes : {std::uint64_t{0}, std::uint64_t{4096}, kFar}) {
      file->will_need(offset, bytes);
      file->drop_cache(offset, bytes);
    }
  }
  std::string content(100'001, ' ');
  EXPECT_EQ(file->read_at(0, std::as_writable_bytes(std::span(content))), 100'000u);
  EXPECT_EQ(content, std::string(100'000, 'x') + " ");
}

}  // namespace
}  // namespace bit::storage
