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

TEST_F(InterruptedConvert,
       a_full_disk_at_any_moment_names_the_file_and_leaves_nothing_half_written) {
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
    EXPECT_FALSE(fs::exists(wanted.output + "/.pictures-train.partial"));
  }
  EXPECT_GT(full_from, 30u);
}

TEST_F(InterruptedConvert, killed_at_any_moment_the_same_command_gives_the_same_dataset) {
  run_through(options("straight"));
  const auto expected = contents(directory_ / "straight");
  std::size_t crash_at = 0;
  for (;; ++crash_at) {
    auto wanted = options("killed-" + std::to_string(crash_at));
    test::FaultyFileSystem files(storage::posix_file_system());
    files.crash_at = crash_at;
    try {
      run(wanted, files);
      break;
    } catch (const test::Crash&) {
    }
    // The split is there, whole, or it is not there.
    wanted.overwrite = has_split(wanted.output, "train");
    if (wanted.overwrite) {
      EXPECT_TRUE(problems(wanted.output).empty()) << crash_at;
    }
    EXPECT_TRUE(run_through(wanted).published);
    EXPECT_EQ(contents(wanted.output), expected) << crash_at;
  }
  EXPECT_GT(crash_at, 30u);
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
  const ClassFolders input(input_files, input_.string());
  input_files.refuse_reads = std::errc::io_error;
  EXPECT_THROW(convert(input, storage::posix_file_system(), options()), storage::StorageError);
  EXPECT_FALSE(has_split(directory_ / "data", "train"));
}

}  // namespace
}  // namespace bit::pipeline
