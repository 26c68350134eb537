// Everything that can be wrong with a run's input: the documented exit code, and a message that
// names the thing.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "tests/integration/run_support.h"

namespace bit::test {
namespace {

// Over the small split, so that a damaged record is met soon.
const std::vector<std::string> kOneEpoch = {"data.split=test", "schedule.length=1ep"};

class BadInput : public testing::Test {
 protected:
  // A copy of the shards that the test may damage.
  std::string copy_of_shards() {
    const std::string copy = directory_ / "shards";
    std::filesystem::copy(clothing_shards(), copy, std::filesystem::copy_options::recursive);
    return copy;
  }
  static std::string shard(const std::string& shards, int number) {
    return shards + "/clothing-test.tfrecord-0000" + std::to_string(number) + "-of-00004";
  }
  static void flip_bit(const std::string& path, std::streamoff offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(offset);
    const int byte = file.get();
    file.seekp(offset);
    file.put(static_cast<char>(byte ^ 0x10));
  }
  static int count_of(const std::string& words, const std::string& text) {
    int count = 0;
    for (std::size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1))
      ++count;
    return count;
  }
  void expect_failure(const TinyRun& run, int exit_code, const std::vector<std::string>& words) {
    const ProcessResult result = run.go();
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    for (const auto& word : words)
      EXPECT_NE(result.err.find(word), std::string::npos) << word << "\nin\n" << result.err;
  }

  TempDirectory directory_;
  TinyRun run_{.output = directory_ / "run"};
};

TEST_F(BadInput, truncated_shard_is_named_before_the_first_step) {
  run_.data = copy_of_shards();
  run_.overrides = kOneEpoch;
  const std::string path = shard(run_.data, 2);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 10);
  expect_failure(run_, 65, {"clothing-test.tfrecord-00002-of-00004"});
}

TEST_F(BadInput, missing_shard_is_named) {
  run_.data = copy_of_shards();
  run_.overrides = kOneEpoch;
  std::filesystem::remove(shard(run_.data, 1));
  const ProcessResult result = run_.go();
  EXPECT_TRUE(result.exit_code == 65 || result.exit_code == 74) << result.exit_code;
  EXPECT_NE(result.err.find("clothing-test.tfrecord-00001-of-00004"), std::string::npos)
      << result.err;
}

TEST_F(BadInput, flipped_bits_in_length_and_data_are_replaced_and_named) {
  run_.data = copy_of_shards();
  run_.overrides = kOneEpoch;
  flip_bit(shard(run_.data, 0), 0);     // the length of its first record
  flip_bit(shard(run_.data, 3), 1000);  // data of some record
  const ProcessResult result = run_.go();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto bad = json_lines(run_.output + "/bad_records.jsonl");
  ASSERT_EQ(bad.size(), 2u);
  std::set<std::string> files;
  for (const auto& line : bad) {
    files.insert(std::filesystem::path(line.at("file").get<std::string>()).filename());
    EXPECT_FALSE(line.at("reason").get<std::string>().empty());
    EXPECT_NE(line.at("replacement"), line.at("record"));
  }
  EXPECT_TRUE(files.contains("clothing-test.tfrecord-00000-of-00004"));
  EXPECT_TRUE(files.contains("clothing-test.tfrecord-00003-of-00004"));
}

TEST_F(BadInput, more_bad_records_than_the_budget_exit_65_on_any_ranks) {
  run_.data = copy_of_shards();
  run_.ranks = 2;
  run_.overrides = kOneEpoch;
  run_.overrides.push_back("data.bad_record_budget=1");
  flip_bit(shard(run_.data, 0), 1000);
  flip_bit(shard(run_.data, 3), 1000);
  expect_failure(run_, 65, {"data.bad_record_budget = 1", "clothing-test.tfrecord-0000"});
}

TEST_F(BadInput, wrong_number_of_classes) {
  run_.overrides = {"data.classes=11"};
  expect_failure(run_, 2, {"data.classes", "11", "10"});
}

TEST_F(BadInput, unknown_key_and_wrong_type_are_reported_together) {
  run_.overrides = {"modle.name=R50x1", "optimizer.momentum=much"};
  expect_failure(run_, 2, {"modle", "model", "optimizer.momentum", "much"});
}

TEST_F(BadInput, missing_dataset_directory) {
  run_.data = directory_ / "nowhere";
  const ProcessResult result = run_.go();
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.err.find(run_.data), std::string::npos) << result.err;
}

TEST_F(BadInput, missing_configuration_file) {
  const ProcessResult result =
      run_process({std::string(BIT_BIN_DIRECTORY) + "/bit-launch", directory_ / "none.yaml"},
                  mpi_environment());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("none.yaml"), std::string::npos) << result.err;
}

TEST_F(BadInput, output_that_cannot_be_written) {
  std::ofstream(directory_ / "file") << "in the way";
  run_.output = directory_ / "file/run";
  expect_failure(run_, 74, {"file/run"});
}

TEST_F(BadInput, full_disk_ends_the_run_with_74_and_leaves_the_last_checkpoint) {
  ASSERT_EQ(run_.go().exit_code, 0);
  // Files may grow to 16 MiB from now on: the next checkpoint, of 28 MB, does not fit.
  run_.overrides = {"schedule.length=40 steps"};
  auto argv = run_.command();
  const std::vector<std::string> limited = {"bash", "-c", "ulimit -f 16384; exec \"$@\"",
                                            "limited"};
  argv.insert(argv.begin() + 3, limited.begin(), limited.end());
  const ProcessResult full = run_process(argv, mpi_environment());
  EXPECT_EQ(full.exit_code, 74) << full.err;
  EXPECT_NE(full.err.find("checkpoints/"), std::string::npos) << full.err;
  EXPECT_EQ(count_of("File too large", full.out + full.err), 1) << full.out << full.err;
  EXPECT_EQ(count_of("Input/output error", full.err), 0) << full.err;
  const auto end = events(run_.output, "done").back();
  EXPECT_EQ(end.at("exit_code"), 74);
  EXPECT_NE(end.at("reason").get<std::string>().find("File too large"), std::string::npos);
  const auto log = json_lines(run_.output + "/log/rank-0.log").back();
  EXPECT_EQ(log.at("level"), "error");
  EXPECT_NE(log.at("message").get<std::string>().find("File too large"), std::string::npos);
  const ProcessResult roomy = run_.go();
  EXPECT_EQ(roomy.exit_code, 0) << roomy.err;
  EXPECT_EQ(events(run_.output, "step").size(), 40u);
}

TEST_F(BadInput, ranks_started_with_different_configurations_are_named) {
  auto argv = run_.command();
  argv.insert(argv.end(), {":", "-n", "1"});
  for (std::size_t i = 3, end = argv.size() - 3; i < end; ++i) argv.push_back(std::string(argv[i]));
  argv.push_back("seed=9");
  const ProcessResult result = run_process(argv, mpi_environment());
  EXPECT_EQ(result.exit_code, 3) << result.err;
  const std::size_t differs = result.err.find(": seed=9\n");
  EXPECT_NE(differs, std::string::npos) << result.err;
  EXPECT_NE(result.err.find("bit-launch: error: configuration", differs), std::string::npos)
      << "the cause comes last:\n"
      << result.err;
}

TEST_F(BadInput, ranks_started_with_different_binaries_are_named) {
  const std::string other = directory_ / "bit-launch";
  std::filesystem::copy_file(std::string(BIT_BIN_DIRECTORY) + "/bit-launch", other);
  std::ofstream(other, std::ios::app) << "another build";
  auto argv = run_.command();
  argv.insert(argv.end(), {":", "-n", "1", other});
  for (std::size_t i = 4, end = argv.size() - 4; i < end; ++i) argv.push_back(std::string(argv[i]));
  const ProcessResult result = run_process(argv, mpi_environment());
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_NE(result.err.find("rank 1"), std::string::npos) << result.err;
}

TEST_F(BadInput, more_threads_than_cores_are_refused) {
  run_.overrides = {"oversubscribe=false", "threads=1000"};
  const ProcessResult result = run_.go();
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_NE(result.err.find("oversubscribe"), std::string::npos) << result.err;
}

TEST_F(BadInput, bad_records_do_not_change_the_samples_of_other_ranks) {
  run_.data = copy_of_shards();
  run_.overrides = kOneEpoch;
  flip_bit(shard(run_.data, 0), 1000);
  ASSERT_EQ(run_.go().exit_code, 0);
  TinyRun two{
      .output = directory_ / "two", .data = run_.data, .overrides = run_.overrides, .ranks = 2};
  ASSERT_EQ(two.go().exit_code, 0);
  EXPECT_EQ(json_lines(two.output + "/order.jsonl"), json_lines(run_.output + "/order.jsonl"));
}

}  // namespace
}  // namespace bit::test
