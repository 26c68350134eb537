// Checkpoints survive kills, full disks and damage: every change to the file system is interrupted
// once.
#include "storage/checkpoint_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "storage/tfrecord.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/process.h"

namespace bit::storage {
namespace {

using test::Crash;
using test::FaultyFileSystem;
using test::TempDirectory;
using testing::ElementsAre;
using testing::HasSubstr;

// Writes a checkpoint of two parts whose one tensor each, [2] F32, is filled with `value`.
void write(CheckpointStore& store, std::uint64_t step, float value,
           const std::string& nonce = "a") {
  const std::vector<float> values(2, value);
  const std::string temporary = store.begin(step, nonce);
  schemas::CheckpointManifest manifest;
  manifest.set_step(step);
  manifest.set_ranks(2);
  (*manifest.mutable_state())["value"] = std::to_string(value);
  for (std::uint32_t part = 0; part < 2; ++part) {
    const std::vector<TensorView> tensors{
        {"weight." + std::to_string(part), DType::kF32, {2}, std::as_bytes(std::span(values))}};
    *manifest.add_parts() = store.write_part(temporary, part, 2, tensors);
  }
  store.publish(temporary, manifest);
}

float read(const CheckpointStore& store, const schemas::CheckpointManifest& manifest) {
  const CheckpointReader reader(store.path(manifest.step()), manifest);
  const float first = *reinterpret_cast<const float*>(reader.tensor("weight.0").bytes.data());
  const float second = *reinterpret_cast<const float*>(reader.tensor("weight.1").bytes.data());
  EXPECT_EQ(first, second) << "parts of different checkpoints are mixed";
  return first;
}

// The newest published checkpoint as a new process finds it; every published one must be good.
struct Found {
  std::uint64_t step = 0;
  float value = 0;
};
std::optional<Found> newest(const std::string& directory) {
  const CheckpointStore store(posix_file_system(), directory);
  std::optional<Found> found;
  for (const std::uint64_t step : store.steps()) {
    CheckpointStore::Problem problem;
    const auto manifest = store.validate(step, &problem);
    EXPECT_TRUE(manifest.has_value()) << "step " << step << ": " << problem.reason;
    if (manifest) found = Found{step, read(store, *manifest)};
  }
  return found;
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : posix_file_system().list(directory)) names.push_back(entry.name);
  return names;
}

void flip_byte(const std::string& path, std::streamoff offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(offset);
  const char byte = static_cast<char>(file.get());
  file.seekp(offset);
  file.put(static_cast<char>(byte ^ 0x10));
}

std::string part_of(const CheckpointStore& store, std::uint64_t step) {
  return store.path(step) + "/part-00001-of-00002.safetensors";
}

class CheckpointStoreTest : public testing::Test {
 protected:
  // Why step 2 cannot be used after `damage`, while step 1 stays good.
  std::string reason_after(const std::function<void()>& damage) {
    write(store_, 1, 1.0f);
    write(store_, 2, 2.0f);
    damage();
    CheckpointStore::Problem problem;
    EXPECT_FALSE(store_.validate(2, &problem).has_value());
    EXPECT_EQ(problem.step, 2u);
    EXPECT_TRUE(store_.validate(1, nullptr).has_value());
    store_.quarantine(problem);
    EXPECT_THAT(store_.steps(), ElementsAre(1));
    EXPECT_EQ(read_file(posix_file_system(), directory_ + "/corrupt-step-000000000002/REASON"),
              problem.reason + "\n");
    return problem.reason;
  }

  TempDirectory temporary_;
  std::string directory_ = temporary_ / "run/checkpoints";
  CheckpointStore store_{posix_file_system(), directory_};
};

TEST_F(CheckpointStoreTest, what_was_written_is_read_back) {
  write(store_, 7, 0.5f);
  CheckpointStore::Problem problem;
  const auto manifest = store_.validate(7, &problem);
  ASSERT_TRUE(manifest.has_value()) << problem.reason;
  EXPECT_EQ(manifest->step(), 7u);
  EXPECT_EQ(manifest->state().at("value"), "0.500000");
  ASSERT_EQ(manifest->parts_size(), 2);
  const auto& tensor = manifest->parts(1).tensors(0);
  EXPECT_EQ(tensor.name(), "weight.1");
  EXPECT_EQ(tensor.dtype(), "F32");
  EXPECT_THAT(tensor.shape(), ElementsAre(2));
  EXPECT_EQ(tensor.bytes(), 8u);
  EXPECT_EQ(tensor.offset() + tensor.bytes(), manifest->parts(1).bytes());
  EXPECT_EQ(read(store_, *manifest), 0.5f);
  EXPECT_EQ(store_.path(7), directory_ + "/step-000000000007");
}

TEST_F(CheckpointStoreTest, validation_finds_the_same_with_any_number_of_threads) {
  write(store_, 7, 0.5f);
  for (const unsigned threads : {0u, 1u, 2u, 9u}) {
    EXPECT_TRUE(store_.validate(7, nullptr, threads).has_value()) << threads;
  }
  flip_byte(part_of(store_, 7),
            -1 + static_cast<std::streamoff>(std::filesystem::file_size(part_of(store_, 7))));
  for (const unsigned threads : {0u, 1u, 2u, 9u}) {
    EXPECT_FALSE(store_.validate(7, nullptr, threads).has_value()) << threads;
  }
}

TEST_F(CheckpointStoreTest, a_missing_tensor_is_named) {
  write(store_, 7, 0.5f);
  const CheckpointReader reader(store_.path(7), store_.validate(7, nullptr).value());
  try {
    reader.tensor("head.fc.weight");
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("step-000000000007"));
    EXPECT_THAT(error.what(), HasSubstr("head.fc.weight"));
  }
}

TEST_F(CheckpointStoreTest, steps_are_ascending_and_foreign_names_are_left_out) {
  for (const std::uint64_t step : {20, 3, 1000}) write(store_, step, 1.0f);
  for (const char* name : {"tmp-step-000000000005-x", "trash-step-000000000006", "step-7",
                           "step-000000000008x", "corrupt-step-000000000009", "notes"}) {
    std::filesystem::create_directory(directory_ + "/" + name);
  }
  std::ofstream(directory_ + "/step-000000000010") << "a file";
  EXPECT_THAT(store_.steps(), ElementsAre(3, 20, 1000));
}

TEST_F(CheckpointStoreTest, publishing_a_step_again_replaces_it) {
  write(store_, 4, 1.0f);
  write(store_, 4, 2.0f, "b");
  EXPECT_THAT(names_in(directory_), ElementsAre("step-000000000004"));
  EXPECT_EQ(newest(directory_)->value, 2.0f);
}

TEST_F(CheckpointStoreTest, everything_is_synced_before_the_rename_and_the_rename_after) {
  FaultyFileSystem files(posix_file_system());
  CheckpointStore store(files, directory_);
  write(store, 1, 1.0f);
  std::string order;
  const std::string temporary = store.temporary_path(1, "a");
  for (const std::string& change : files.changes()) {
    if (change == "sync " + temporary + "/part-00000-of-00002.safetensors") order += "0";
    if (change == "sync " + temporary + "/part-00001-of-00002.safetensors") order += "1";
    if (change == "sync " + temporary + "/MANIFEST") order += "M";
    if (change == "sync_directory " + temporary) order += "D";
    if (change == "rename " + store.path(1)) order += "R";
    if (change == "sync_directory " + directory_) order += "P";
  }
  EXPECT_EQ(order, "01MDRP");
}

TEST_F(CheckpointStoreTest, a_torn_part_is_found) {
  const std::string reason = reason_after([&] {
    const std::string part = part_of(store_, 2);
    std::filesystem::resize_file(part, std::filesystem::file_size(part) - 3);
  });
  EXPECT_THAT(reason, HasSubstr("part-00001-of-00002.safetensors"));
  EXPECT_THAT(reason, HasSubstr("bytes instead of"));
}

TEST_F(CheckpointStoreTest, a_flipped_bit_in_any_part_of_a_file_is_found) {
  write(store_, 2, 2.0f);
  for (const char* file : {"/MANIFEST", "/part-00000-of-00002.safetensors"}) {
    const std::string path = store_.path(2) + file;
    const auto bytes = static_cast<std::streamoff>(std::filesystem::file_size(path));
    for (std::streamoff offset = 0; offset < bytes; ++offset) {
      flip_byte(path, offset);
      CheckpointStore::Problem problem;
      EXPECT_FALSE(store_.validate(2, &problem).has_value()) << file << " byte " << offset;
      EXPECT_THAT(problem.reason, HasSubstr(file));
      flip_byte(path, offset);
    }
  }
  EXPECT_TRUE(store_.validate(2, nullptr).has_value());
}

TEST_F(CheckpointStoreTest, a_missing_part_is_found) {
  const auto reason = reason_after([&] { std::filesystem::remove(part_of(store_, 2)); });
  EXPECT_THAT(reason, HasSubstr("part-00001-of-00002.safetensors"));
  EXPECT_THAT(reason, HasSubstr("No such file"));
}

TEST_F(CheckpointStoreTest, a_missing_manifest_is_found) {
  const auto reason = reason_after([&] { std::filesystem::remove(store_.path(2) + "/MANIFEST"); });
  EXPECT_THAT(reason, HasSubstr("MANIFEST"));
}

TEST_F(CheckpointStoreTest, a_garbled_manifest_is_found) {
  const auto reason =
      reason_after([&] { std::ofstream(store_.path(2) + "/MANIFEST") << "step: 2 parts {"; });
  EXPECT_THAT(reason, HasSubstr("MANIFEST: it ends without its checksum"));
}

TEST_F(CheckpointStoreTest, a_manifest_of_another_step_is_found) {
  const auto reason = reason_after([&] {
    std::filesystem::remove_all(store_.path(2));
    std::filesystem::copy(store_.path(1), store_.path(2));
  });
  EXPECT_THAT(reason, HasSubstr("it is of step 1"));
}

TEST_F(CheckpointStoreTest, quarantine_keeps_every_copy) {
  for (int copy = 0; copy < 3; ++copy) {
    write(store_, 2, 2.0f);
    store_.quarantine({2, "for the test"});
  }
  EXPECT_THAT(names_in(directory_),
              ElementsAre("corrupt-step-000000000002", "corrupt-step-000000000002-2",
                          "corrupt-step-000000000002-3"));
}

TEST_F(CheckpointStoreTest, a_checkpoint_that_may_not_be_read_is_an_error_and_not_damage) {
  write(store_, 1, 1.0f);
  FaultyFileSystem files(posix_file_system());
  files.refuse_reads = std::errc::permission_denied;
  const CheckpointStore store(files, directory_);
  EXPECT_THROW(store.validate(1, nullptr), StorageError);
}

TEST_F(CheckpointStoreTest, prune_keeps_the_newest) {
  for (std::uint64_t step = 1; step <= 5; ++step) write(store_, step, 1.0f);
  store_.prune(2);
  EXPECT_THAT(names_in(directory_), ElementsAre("step-000000000004", "step-000000000005"));
  store_.prune(2);
  EXPECT_THAT(store_.steps(), ElementsAre(4, 5));
  EXPECT_THROW(store_.prune(0), std::invalid_argument);
}

// Four checkpoints, the third one twice, two kept. `progress` is the newest whose publish()
// returned.
void run(FileSystem& files, const std::string& directory, Found& progress) {
  CheckpointStore store(files, directory);
  store.remove_leftovers();
  for (const Found& next : {Found{1, 10}, Found{2, 20}, Found{3, 30}, Found{3, 31}, Found{4, 40}}) {
    if (next.step < progress.step) continue;
    write(store, next.step, next.value, "n" + std::to_string(static_cast<int>(next.value)));
    progress = next;
    store.prune(2);
  }
}

std::size_t changes_of_run() {
  const TempDirectory directory;
  FaultyFileSystem files(posix_file_system());
  Found progress;
  run(files, directory / "run", progress);
  return files.changes().size();
}

TEST(CheckpointStoreUnderFaults, a_kill_at_any_moment_loses_no_published_checkpoint) {
  const std::size_t changes = changes_of_run();
  ASSERT_GT(changes, 80u);
  for (std::size_t k = 0; k < changes; ++k) {
    SCOPED_TRACE("killed in change " + std::to_string(k));
    const TempDirectory temporary;
    const std::string directory = temporary / "run";
    FaultyFileSystem files(posix_file_system());
    files.crash_at = k;
    Found progress;
    EXPECT_THROW(run(files, directory, progress), Crash);

    const auto found = newest(directory);
    if (progress.step == 0 && !found) continue;
    ASSERT_TRUE(found.has_value());
    EXPECT_GE(found->step, progress.step);
    EXPECT_GE(found->value, progress.value);
    // The next run cleans up, goes on and ends as if nothing had happened.
    Found resumed = *found;
    FaultyFileSystem sound(posix_file_system());
    run(sound, directory, resumed);
    EXPECT_EQ(newest(directory)->value, 40.0f);
    EXPECT_THAT(names_in(directory), ElementsAre("step-000000000003", "step-000000000004"));
  }
}

TEST(CheckpointStoreUnderFaults, a_kill_while_cleaning_up_after_a_kill_loses_nothing_either) {
  const std::size_t changes = changes_of_run();
  for (std::size_t k = 0; k < changes; ++k) {
    for (std::size_t again = 0;; ++again) {
      SCOPED_TRACE("killed in change " + std::to_string(k) + ", then " + std::to_string(again));
      const TempDirectory temporary;
      const std::string directory = temporary / "run";
      Found progress;
      FaultyFileSystem files(posix_file_system());
      files.crash_at = k;
      EXPECT_THROW(run(files, directory, progress), Crash);
      const auto before = newest(directory);
      if (!before) break;
      FaultyFileSystem next(posix_file_system());
      next.crash_at = again;
      bool cleaned = true;
      try {
        CheckpointStore(next, directory).remove_leftovers();
      } catch (const Crash&) {
        cleaned = false;
      }
      EXPECT_EQ(newest(directory)->value, before->value);
      if (cleaned) break;
    }
  }
}

TEST(CheckpointStoreUnderFaults, an_operation_that_fails_anywhere_leaves_good_checkpoints) {
  const std::size_t changes = changes_of_run();
  for (std::size_t k = 0; k < changes; ++k) {
    SCOPED_TRACE("change " + std::to_string(k) + " fails");
    const TempDirectory temporary;
    const std::string directory = temporary / "run";
    FaultyFileSystem files(posix_file_system());
    files.fail_at = k;
    Found progress;
    EXPECT_THROW(run(files, directory, progress), StorageError) << files.changes().back();
    if (progress.step != 0) {
      EXPECT_GE(newest(directory)->value, progress.value);
    }
    // The same process goes on: its next checkpoint is written.
    run(files, directory, progress);
    EXPECT_EQ(newest(directory)->value, 40.0f);
  }
}

TEST(CheckpointStoreUnderFaults, a_full_disk_is_named_and_earlier_checkpoints_stay) {
  for (const std::uint64_t step : {1, 2}) {  // the same step again, and the next one
    std::size_t failures = 0;
    for (std::size_t k = 0;; ++k) {
      SCOPED_TRACE("full from change " + std::to_string(k));
      const TempDirectory temporary;
      const std::string directory = temporary / "run";
      CheckpointStore good(posix_file_system(), directory);
      write(good, 1, 1.0f);
      FaultyFileSystem files(posix_file_system());
      files.full_from = k;
      CheckpointStore store(files, directory);
      try {
        write(store, step, 2.0f, "b");
        break;
      } catch (const StorageError& error) {
        ++failures;
        EXPECT_EQ(error.code(), std::errc::no_space_on_device);
        EXPECT_THAT(error.path(), HasSubstr(directory));
        EXPECT_THAT(error.what(), HasSubstr(error.path()));
      }
      EXPECT_EQ(newest(directory)->value, 1.0f);
      files.full_from = FaultyFileSystem::kNever;
      store.discard(store.temporary_path(step, "b"));
      EXPECT_THAT(names_in(directory), ElementsAre("step-000000000001"));
    }
    EXPECT_GT(failures, 8u);
  }
}

}  // namespace
}  // namespace bit::storage
