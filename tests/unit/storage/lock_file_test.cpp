// A lock that one process holds, and that goes with it however it ends.
#include "storage/lock_file.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

using testing::HasSubstr;

class LockFileTest : public testing::Test {
 protected:
  test::TempDirectory directory_;
  std::string path_ = directory_ / "LOCK";
};

TEST_F(LockFileTest, names_the_process_that_holds_it) {
  const LockFile lock(path_);
  EXPECT_TRUE(lock.held());
  const std::string refused = message_of<LockedError>([&] { const LockFile second(path_); });
  EXPECT_THAT(refused,
              HasSubstr(path_ + " is held by process " + std::to_string(getpid()) + " on "));
  EXPECT_THAT(refused, testing::MatchesRegex(".* since 20[0-9-]+T[0-9:]+Z"));
}

TEST_F(LockFileTest, is_free_again_when_its_holder_is_gone) {
  { const LockFile lock(path_); }
  EXPECT_NO_THROW(LockFile{path_});
}

TEST_F(LockFileTest, a_killed_holder_blocks_nobody) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = std::make_unique<LockFile>(path_);
    const char byte = 1;
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    for (;;) pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THAT(message_of<LockedError>([&] { const LockFile second(path_); }),
              HasSubstr("process " + std::to_string(child)));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(LockFile{path_});
  close(ready[0]);
  close(ready[1]);
}

TEST_F(LockFileTest, a_file_that_cannot_be_made_is_named) {
  EXPECT_THAT(message_of<StorageError>([&] { const LockFile lock(directory_ / "none/LOCK"); }),
              HasSubstr("none/LOCK"));
}

}  // namespace
}  // namespace bit::storage
