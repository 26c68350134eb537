// Conversions that end early: what was there stays whole, and the same command finishes the work.
#include "storage/dataset.h"
#include "tests/support/faulty_file_system.h"
#include "tests/unit/pipeline/convert_fixture.h"

namespace bit::pipeline {
namespace {

using testing::HasSubstr;

// Few enough images to try every moment at which a conversion can be interrupted.
class InterruptedConvert : public Convert {
 protected:
  void SetUp() override { make_images(input_, 2, 4); }

  // Without waiting for the disk.
  ConvertReport run_through(const ConvertOptions& options) const {
    test::FaultyFileSystem files(storage::posix_file_system());
    return run(options, files);
  }
};

TEST_F(InterruptedConvert, a_full_disk_at_any_moment_names_the_file_and_can_be_gone_on_from) {
  run_through(options("straight"));
  const auto expected = contents(directory_ / "straight");
  std::size_t full_from = 0;
  for (;; ++full_from) {
    const auto wanted = options("full-" + std::to_string(full_from));
    test::FaultyFileSystem files(storage::posix_file_system());
    files.full_from = full_from;
    try {
      run(wanted, files);
      break;
    } catch (const storage::StorageError& error) {
      EXPECT_EQ(error.code(), std::errc::no_space_on_device);
      EXPECT_THAT(error.path(), HasSubstr(wanted.output));
    }
    EXPECT_FALSE(has_split(wanted.output, "train"));
    EXPECT_TRUE(run_through(wanted).published);
    EXPECT_EQ(contents(wanted.output), expected) << full_from;
  }
  EXPECT_GT(full_from, 30u);
}

TEST_F(InterruptedConvert, killed_at_any_moment_the_same_command_gives_the_same_dataset) {
  run_through(options("straight"));
  const auto expected = contents(directory_ / "straight");
  std::size_t crash_at = 0;
  for (;; ++crash_at) {
    const auto wanted = options("killed-" + std::to_string(crash_at));
    test::FaultyFileSystem files(storage::posix_file_system());
    files.crash_at = crash_at;
    try {
      run(wanted, files);
      break;
    } catch (const test::Crash&) {
    }
    // The split is there, whole, or it is not there.
    if (has_split(wanted.output, "train")) {
      EXPECT_TRUE(problems(wanted.output).empty()) << crash_at;
    }
    EXPECT_TRUE(run_through(wanted).published);
    EXPECT_EQ(contents(wanted.output), expected) << crash_at;
    EXPECT_FALSE(fs::exists(wanted.output + "/.pictures-train.partial")) << crash_at;
  }
  EXPECT_GT(crash_at, 30u);
}

TEST_F(InterruptedConvert, what_was_done_is_not_done_again) {
  auto wanted = options();
  wanted.threads = 1;  // one shard after the other: the same changes every time
  test::FaultyFileSystem straight(storage::posix_file_system());
  run(wanted, straight);
  const auto creations = [](const test::FaultyFileSystem& files, const std::string& what) {
    return std::ranges::count_if(files.changes(), [&](const std::string& change) {
      return change.starts_with("create ") && change.find(what) != std::string::npos;
    });
  };
  EXPECT_EQ(creations(straight, ".tfrecord-00000-of-00003.tmp"), 1);
  // Stopped as the journal's last entry begins.
  std::size_t crash_at = 0;
  while (straight.changes()[crash_at].find("journal/2.tmp") == std::string::npos) ++crash_at;
  auto single = options("again");
  single.threads = 1;
  test::FaultyFileSystem stopped(storage::posix_file_system());
  stopped.crash_at = crash_at;
  EXPECT_THROW(run(single, stopped), test::Crash);
  test::FaultyFileSystem resumed(storage::posix_file_system());
  EXPECT_TRUE(run(single, resumed).published);
  EXPECT_EQ(creations(resumed, "listing"), 0);
  EXPECT_EQ(creations(resumed, ".tfrecord-00000-of-00003.tmp"), 0);
  EXPECT_EQ(creations(resumed, ".tfrecord-00001-of-00003.tmp"), 0);
  EXPECT_EQ(creations(resumed, ".tfrecord-00002-of-00003.tmp"), 1);
  EXPECT_EQ(contents(single.output), contents(wanted.output));
}

TEST_F(InterruptedConvert, other_options_or_another_input_start_over) {
  const auto interrupt = [&](const ConvertOptions& wanted) {
    test::FaultyFileSystem files(storage::posix_file_system());
    files.crash_at = 40;
    EXPECT_THROW(run(wanted, files), test::Crash);
  };
  auto other_seed = options("seed");
  interrupt(other_seed);
  other_seed.seed = 77;
  EXPECT_TRUE(run_through(other_seed).published);
  auto straight = options("straight");
  straight.seed = 77;
  run_through(straight);
  EXPECT_EQ(contents(other_seed.output), contents(straight.output));

  const auto other_input = options("input");
  interrupt(other_input);
  fs::copy_file(input_ / "class-0/image-0.jpg", input_ / "class-1/more.jpg");
  EXPECT_EQ(run_through(other_input).records, 9u);
}

TEST_F(InterruptedConvert, the_same_command_after_the_end_does_nothing) {
  const auto first = run_through(options());
  const auto before = contents(directory_ / "data");
  test::FaultyFileSystem files(storage::posix_file_system());
  const auto again = run(options(), files);
  EXPECT_TRUE(files.changes().empty());
  EXPECT_TRUE(again.published);
  EXPECT_EQ(again.records, first.records);
  EXPECT_EQ(again.bytes, first.bytes);
  EXPECT_EQ(contents(directory_ / "data"), before);
}

TEST_F(InterruptedConvert, killed_while_it_replaces_a_split_lists_no_wrong_split) {
  std::size_t crash_at = 0;
  for (;; ++crash_at) {
    auto wanted = options("replaced-" + std::to_string(crash_at));
    run_through(wanted);
    wanted.overwrite = true;
    wanted.shards = 2;
    wanted.seed = 9;
    test::FaultyFileSystem files(storage::posix_file_system());
    files.crash_at = crash_at;
    try {
      run(wanted, files);
      break;
    } catch (const test::Crash&) {
    }
    EXPECT_TRUE(problems(wanted.output).empty()) << crash_at;
  }
  EXPECT_GT(crash_at, 30u);
}

TEST_F(Convert, an_input_that_cannot_be_read_stops_the_conversion) {
  test::FaultyFileSystem input_files(storage::posix_file_system());
  ClassFolders input(input_files, input_.string());
  test::FaultyFileSystem& files = input_files;
  files.refuse_reads = std::errc::io_error;
  EXPECT_THROW(convert(input, files, options()), storage::StorageError);
  EXPECT_FALSE(has_split(directory_ / "data", "train"));
}

}  // namespace
}  // namespace bit::pipeline
