// bit-shard as a process: exit codes and messages on the bundled photographs, on bad input and on
// disks that do not take it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "storage/dataset.h"
#include "storage/file.h"
#include "storage/lock_file.h"
#include "tests/support/process.h"

namespace bit {
namespace {

namespace fs = std::filesystem;
using test::ProcessResult;
using testing::HasSubstr;

ProcessResult shard(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), BIT_SHARD);
  return test::run_process(arguments);
}

// The last line of standard error: the one that says what was wrong.
std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return "";
  const std::size_t begin = text.find_last_of('\n', end);
  return text.substr(begin + 1, end - begin);
}

std::string content(const fs::path& path) {
  return storage::read_file(storage::posix_file_system(), path.string());
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// The test split of the bundled photographs.
class ShardCli : public testing::Test {
 protected:
  void SetUp() override {
    const auto result = test::run_process({"tar", "-xf", BIT_EXAMPLES "/clothing-72.tar", "-C",
                                           directory_.path(), "clothing-72/test"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }

  ProcessResult convert(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"convert", "--input", input_, "--output", data_, "--name",
                                          "clothes", "--split", "test", "--shards", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return shard(arguments);
  }

  test::TempDirectory directory_;
  std::string input_ = directory_ / "clothing-72/test";
  std::string data_ = directory_ / "data";
  std::string first_shard_ = data_ + "/clothes-test.tfrecord-00000-of-00002";
};

TEST_F(ShardCli, converts_verifies_and_inspects) {
  const auto converted = convert();
  ASSERT_EQ(converted.exit_code, 0) << converted.err;
  EXPECT_THAT(converted.out, HasSubstr("372 images in 10 classes (dress, hat, "));
  EXPECT_THAT(converted.out, HasSubstr("test: 372 records"));
  EXPECT_THAT(converted.err, HasSubstr("100%  372 of 372 images"));
  EXPECT_EQ(storage::Dataset::open(data_, "test").records(), 372u);

  const auto verified = shard({"verify", data_, "--decode"});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  EXPECT_THAT(verified.out, HasSubstr("372 records"));
  EXPECT_THAT(verified.out, HasSubstr("all good"));

  const auto inspected = shard({"inspect", data_});
  EXPECT_EQ(inspected.exit_code, 0);
  EXPECT_THAT(inspected.out, HasSubstr("0 dress, 1 hat"));
  EXPECT_THAT(inspected.out, HasSubstr("labels: 0 to 9 (0-based), 10 classes seen"));
  EXPECT_THAT(inspected.out, HasSubstr("64-127"));
  EXPECT_THAT(inspected.out, testing::ContainsRegex("6 shoes +73 +19.6%  #####"));
  EXPECT_THAT(inspected.out, HasSubstr("well mixed"));
}

TEST_F(ShardCli, shuffle_quality_of_one_batch_size) {
  ASSERT_EQ(convert().exit_code, 0);
  const auto result = shard({"inspect", data_, "--batch", "93"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, testing::ContainsRegex("\n +93 +[0-9.]+ +[0-9]+ +[0-9.]+\n"));
  EXPECT_THAT(result.out, testing::Not(testing::ContainsRegex("\n +32 +[0-9.]+ +[0-9]+ +[0-9]")));
  EXPECT_EQ(shard({"inspect", data_, "--batch", "0"}).exit_code, 2);
}

TEST_F(ShardCli, the_page_holds_its_pictures_and_asks_nobody) {
  ASSERT_EQ(convert().exit_code, 0);
  {
    std::fstream file(first_shard_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(200);  // in the first record
    file.put('\x7F');
  }
  const std::string path = directory_ / "page.html";
  const auto result = shard({"inspect", data_, "--html", path, "--sheet", "12"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("the page is in " + path));
  const std::string page = content(path);
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  const auto count = [&](const std::string& text) {
    std::size_t found = 0;
    for (auto at = page.find(text); at != std::string::npos; at = page.find(text, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("<figure>"), 12u);
  EXPECT_EQ(count("src=\"data:image/jpeg;base64,/9j/"), 11u);  // FF D8 FF
  EXPECT_THAT(page, HasSubstr("record 0 of the split at byte 0: "));
  EXPECT_EQ(count("http"), 0u);
  EXPECT_EQ(count("<script"), 0u);
  EXPECT_EQ(shard({"inspect", data_, "--sheet", "12"}).exit_code, 2);
}

TEST_F(ShardCli, verify_decodes_unless_told_not_to) {
  ASSERT_EQ(convert().exit_code, 0);
  EXPECT_THAT(shard({"verify", data_}).out, HasSubstr("decoded, all good"));
  const auto quick = shard({"verify", data_, "--no-decode"});
  EXPECT_EQ(quick.exit_code, 0);
  EXPECT_THAT(quick.out, testing::Not(HasSubstr("decoded")));
}

TEST_F(ShardCli, shows_one_record_and_writes_its_image) {
  ASSERT_EQ(convert().exit_code, 0);
  const std::string image = directory_ / "record.jpg";
  const auto result = shard({"inspect", data_, "--record", "371", "--output", image});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("image/class/text"));
  EXPECT_TRUE(content(image).starts_with("\xFF\xD8\xFF"));
  const auto beyond = shard({"inspect", data_, "--record", "372"});
  EXPECT_EQ(beyond.exit_code, 2);
  EXPECT_EQ(last_line(beyond.err),
            "bit-shard: error: --record 372: split `test` has 372 records, from 0");
}

TEST_F(ShardCli, names_cannot_become_markup_of_the_page) {
  fs::rename(input_ + "/hat", input_ + "/<b>\"hat\" & co");
  ASSERT_EQ(convert().exit_code, 0);
  const std::string path = directory_ / "page.html";
  ASSERT_EQ(shard({"inspect", data_, "--html", path, "--sheet", "372"}).exit_code, 0);
  const std::string page = content(path);
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;&quot;hat&quot; &amp; co</b><br>"));
  EXPECT_THAT(page, testing::Not(HasSubstr("<b>\"hat")));
}

TEST_F(ShardCli, the_same_command_again_does_nothing_and_another_one_is_refused) {
  ASSERT_EQ(convert().exit_code, 0);
  const auto again = convert();
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.out, HasSubstr("test: complete already: 372 records"));
  const auto other = convert({"--seed", "1"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(last_line(other.err), HasSubstr("split `test` exists in "));
  EXPECT_EQ(convert({"--overwrite"}).exit_code, 0);
}

TEST_F(ShardCli, mistakes_on_the_command_line_end_with_2_and_one_sentence) {
  const std::vector<std::vector<std::string>> mistakes = {
      {},
      {"convrt"},
      {"convert", "--input", input_},
      {"convert", "--input", directory_ / "nowhere", "--output", data_, "--name", "a", "--split",
       "b"},
      {"verify", directory_ / "nowhere"},
      {"inspect"}};
  for (const auto& arguments : mistakes) {
    const auto result = shard(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(last_line(result.err), testing::StartsWith("bit-shard: error: "));
  }
  EXPECT_EQ(convert({"--threads", "0"}).exit_code, 2);
  for (const char* mode : {"lossles", "0"}) {
    const auto result = convert({"--jpeg", mode});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("expected keep or lossless or lossy"));
  }
}

TEST_F(ShardCli, what_would_be_found_out_after_hours_is_said_at_once) {
  write_text(directory_ / "list.csv", "path,label\nnowhere/1.jpg,hat\nnowhere/2.jpg,hat\n");
  const auto missing = shard({"convert", "--input", directory_ / "list.csv", "--output", data_,
                              "--name", "a", "--split", "b"});
  EXPECT_EQ(missing.exit_code, 65);
  EXPECT_THAT(last_line(missing.err), HasSubstr("nowhere/1.jpg: there is no such file, nor is"));
  const auto inside = shard(
      {"convert", "--input", input_, "--output", input_ + "/out", "--name", "a", "--split", "b"});
  EXPECT_EQ(inside.exit_code, 2);
  EXPECT_THAT(last_line(inside.err), HasSubstr("lies in --input"));
  EXPECT_EQ(convert({"--max-bad", "-1"}).exit_code, 2);
}

TEST_F(ShardCli, an_index_of_another_dataset_is_told) {
  ASSERT_EQ(convert().exit_code, 0);
  const std::string index = content(data_ + "/clothes-test.index");
  ASSERT_EQ(convert({"--overwrite", "--seed", "9"}).exit_code, 0);
  write_text(data_ + "/clothes-test.index", index);
  for (const char* command : {"inspect", "verify"}) {
    EXPECT_EQ(shard({command, data_}).exit_code, 65) << command;
  }
}

TEST_F(ShardCli, words_that_are_near_a_name_are_answered_with_it) {
  EXPECT_EQ(shard({"convrt"}).err,
            "bit-shard: error: there is no command 'convrt'; there are convert, verify, inspect, "
            "index; did you mean 'convert'? (bit-shard --help shows how)\n");
  EXPECT_THAT(shard({"convert", "--ouptut", data_}).err, HasSubstr("did you mean '--output'?"));
  ASSERT_EQ(convert().exit_code, 0);
  for (const char* command : {"inspect", "verify"}) {
    const auto result = shard({command, data_, "--split", "tset"});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.err, "bit-shard: error: " + data_ +
                              ": no split 'tset'; there are test; did you mean 'test'?\n");
  }
}

TEST_F(ShardCli, a_missing_index_is_answered_with_the_command_that_writes_it) {
  ASSERT_EQ(convert().exit_code, 0);
  fs::remove(data_ + "/clothes-test.index");
  const auto result = shard({"inspect", data_});
  EXPECT_EQ(result.exit_code, 65);
  EXPECT_THAT(result.err,
              HasSubstr("clothes-test.index: missing; `bit-shard index " + data_ + "`"));
}

TEST_F(ShardCli, files_that_are_no_shards_are_answered_with_the_names_of_shards) {
  const auto result = shard({"index", input_ + "/hat"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("NAME-SPLIT.tfrecord-00000-of-00016"));
}

TEST_F(ShardCli, a_dataset_that_another_process_changes_is_left_alone) {
  fs::create_directories(data_);
  const storage::LockFile lock(data_ + "/.lock");
  const auto result = convert();
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr(data_ + "/.lock is held by process "));
  EXPECT_FALSE(fs::exists(first_shard_));
}

TEST_F(ShardCli, a_full_disk_ends_with_74_and_leaves_nothing_of_the_split) {
  const auto result = test::run_process(
      {"bash", "-c", "(ulimit -f 100; exec \"$@\") 2>&1 | cat; exit ${PIPESTATUS[0]}", "limited",
       BIT_SHARD, "convert", "--input", input_, "--output", data_, "--name", "clothes", "--split",
       "test", "--shards", "2"});
  EXPECT_EQ(result.exit_code, 74) << result.out;
  EXPECT_THAT(result.out, HasSubstr("File too large"));
  EXPECT_FALSE(fs::exists(first_shard_));
  EXPECT_FALSE(fs::exists(data_ + "/dataset.json"));
}

TEST_F(ShardCli, help_and_version_end_with_0) {
  const auto help = shard({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("bit-shard convert --input photos/train"));
  for (const char* command : {"convert", "verify", "inspect", "index"}) {
    EXPECT_THAT(help.out, HasSubstr(command));
    EXPECT_EQ(shard({command, "--help"}).exit_code, 0);
  }
  EXPECT_EQ(shard({"--version"}).exit_code, 0);
}

TEST_F(ShardCli, bad_images_end_with_65_and_are_all_named) {
  write_text(input_ + "/hat/broken.jpg", "not an image");
  write_text(input_ + "/shoes/empty.jpg", "");
  const auto refused = convert();
  EXPECT_EQ(refused.exit_code, 65);
  EXPECT_THAT(refused.out, HasSubstr("hat/broken.jpg: not an image of a known kind"));
  EXPECT_THAT(refused.out, HasSubstr("shoes/empty.jpg: an empty file"));
  EXPECT_THAT(last_line(refused.err), HasSubstr("2 of 374 images cannot be used"));
  EXPECT_FALSE(fs::exists(data_ + "/dataset.json"));
  EXPECT_FALSE(fs::exists(first_shard_));
  EXPECT_EQ(convert({"--max-bad", "2"}).exit_code, 0);
  EXPECT_EQ(storage::Dataset::open(data_, "test").records(), 372u);
}

TEST_F(ShardCli, an_output_that_cannot_be_written_ends_with_74_and_is_named) {
  write_text(data_, "a file where the directory should be");
  const auto result = convert();
  EXPECT_EQ(result.exit_code, 74);
  EXPECT_THAT(last_line(result.err), HasSubstr(data_));
}

TEST_F(ShardCli, damage_ends_verification_with_65_and_names_record_and_offset) {
  ASSERT_EQ(convert().exit_code, 0);
  std::string bytes = content(first_shard_);
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  write_text(first_shard_, bytes);
  const auto flipped = shard({"verify", data_});
  EXPECT_EQ(flipped.exit_code, 65);
  EXPECT_THAT(flipped.out, HasSubstr(first_shard_ + ": record 0 at byte 0 (longsleeve/"));
  EXPECT_THAT(last_line(flipped.err), HasSubstr("1 problem found"));
  write_text(first_shard_, bytes.substr(0, bytes.size() - 10));
  EXPECT_EQ(shard({"verify", data_}).exit_code, 65);
}

TEST_F(ShardCli, a_directory_without_a_dataset_ends_with_2) {
  const auto result = shard({"verify", input_});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(last_line(result.err), HasSubstr("no dataset.json"));
}

TEST_F(ShardCli, indexes_shards_that_lost_everything_else) {
  ASSERT_EQ(convert().exit_code, 0);
  const std::string sidecar = content(first_shard_ + ".idx");
  const std::string index = content(data_ + "/clothes-test.index");
  std::string names;
  const auto dataset = storage::Dataset::open(data_, "test");
  for (const auto& name : dataset.class_names()) names += name + "\n";
  write_text(directory_ / "classes.txt", names);
  for (const char* file : {"dataset.json", "clothes-test.index"}) fs::remove(data_ + "/" + file);
  fs::remove(first_shard_ + ".idx");

  const auto result = shard({"index", data_, "--classes", directory_ / "classes.txt"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("labels: 0 to 9 (0-based), 10 classes seen"));
  EXPECT_EQ(content(first_shard_ + ".idx"), sidecar);
  EXPECT_EQ(content(data_ + "/clothes-test.index"), index);
  EXPECT_EQ(shard({"verify", data_, "--decode"}).exit_code, 0);
}

TEST_F(ShardCli, indexes_foreign_names_through_a_glob) {
  ASSERT_EQ(convert().exit_code, 0);
  const std::string foreign = directory_ / "foreign";
  fs::create_directory(foreign);
  for (const char* shard_of : {"-00000-of-00002", "-00001-of-00002"}) {
    fs::copy_file(data_ + "/clothes-test.tfrecord" + shard_of, foreign + "/validation" + shard_of);
  }
  const auto result = shard({"index", foreign + "/validation-*", "--name", "other"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(storage::Dataset::open(foreign, "validation").records(), 372u);
  fs::remove(foreign + "/validation-00001-of-00002");
  const auto incomplete = shard({"index", foreign});
  EXPECT_EQ(incomplete.exit_code, 65);
  EXPECT_THAT(last_line(incomplete.err),
              HasSubstr("1 file is missing: " + foreign + "/validation-00001-of-00002"));
}

}  // namespace
}  // namespace bit
