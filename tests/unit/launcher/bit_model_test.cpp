// bit-model as people call it: a process, its output and its exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "storage/checkpoint_store.h"
#include "storage/safetensors.h"
#include "tests/support/process.h"

namespace bit::launcher {
namespace {

using test::ProcessResult;
using test::TempDirectory;
using ::testing::HasSubstr;

class BitModel : public testing::Test {
 protected:
  void SetUp() override {
    publish(100, 1);
    publish(200, 2);
  }

  // A checkpoint of one weight and its momentum, every element of the weight `value`.
  void publish(std::uint64_t step, float value) {
    storage::CheckpointStore store(storage::posix_file_system(), run_ + "/checkpoints");
    const std::vector<float> weight(6, value);
    const std::vector<float> momentum(6, -1);
    const std::vector<storage::TensorView> tensors = {
        {"model/head.fc.weight", storage::DType::kF32, {2, 3}, std::as_bytes(std::span(weight))},
        {"momentum/head.fc.weight",
         storage::DType::kF32,
         {2, 3},
         std::as_bytes(std::span(momentum))}};
    const std::string temporary = store.begin(step, "test");
    schemas::CheckpointManifest manifest;
    manifest.set_step(step);
    manifest.set_ranks(1);
    manifest.set_wall_time(1700000000);
    manifest.set_writer("bit test");
    manifest.set_config("output: \"runs/a\"\nmodel { name: \"R26x1\" }\n");
    *manifest.add_parts() = store.write_part(temporary, 0, 1, tensors);
    store.publish(temporary, manifest);
  }

  std::string checkpoint(std::uint64_t step) const {
    return storage::CheckpointStore(storage::posix_file_system(), run_ + "/checkpoints").path(step);
  }

  void flip_a_byte_of(std::uint64_t step) {
    for (const auto& entry : std::filesystem::directory_iterator(checkpoint(step))) {
      if (entry.path().extension() != ".safetensors") continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(-1, std::ios::end);
      const char byte = static_cast<char>(file.get() ^ 1);
      file.seekp(-1, std::ios::end);
      file.put(byte);
    }
  }

  static ProcessResult bit_model(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), BIT_MODEL);
    return test::run_process(arguments);
  }

  TempDirectory directory_;
  std::string run_ = directory_ / "run";
};

TEST_F(BitModel, inspect_lists_the_checkpoints_of_a_run) {
  flip_a_byte_of(200);
  const ProcessResult result = bit_model({"inspect", run_});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(checkpoint(100) + "  ok   2023-11-14 22:13:20 UTC"));
  EXPECT_THAT(result.out, HasSubstr(checkpoint(200) + "  BAD  "));
}

TEST_F(BitModel, inspect_shows_the_tensors_of_a_checkpoint) {
  const ProcessResult result = bit_model({"inspect", checkpoint(200) + "/"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("model/head.fc.weight"));
  EXPECT_THAT(result.out, HasSubstr("F32   [2, 3]"));
  EXPECT_THAT(result.out, HasSubstr("step 200, 2023-11-14 22:13:20 UTC, by bit test, 1 rank\n"));
  EXPECT_THAT(result.out, HasSubstr("2 tensors, 6 parameters"));
}

TEST_F(BitModel, verify_accepts_good_checkpoints) {
  EXPECT_EQ(bit_model({"verify", run_}).exit_code, 0);
  EXPECT_EQ(bit_model({"verify", run_ + "/checkpoints"}).exit_code, 0);
}

TEST_F(BitModel, verify_exits_77_when_one_is_damaged) {
  flip_a_byte_of(100);
  const ProcessResult result = bit_model({"verify", run_});
  EXPECT_EQ(result.exit_code, 77);
  EXPECT_THAT(result.out, HasSubstr(checkpoint(100) + "  BAD  "));
  EXPECT_THAT(result.out, HasSubstr(checkpoint(200) + "  ok   "));
  EXPECT_EQ(bit_model({"verify", checkpoint(200)}).exit_code, 0);
}

TEST_F(BitModel, export_writes_the_weights_of_the_newest_checkpoint) {
  const std::string output = directory_ / "weights.safetensors";
  const ProcessResult result = bit_model({"export", run_, "--output", output});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const storage::SafetensorsFile file(output);
  ASSERT_EQ(file.tensors().size(), 1u);
  EXPECT_EQ(file.tensors()[0].name, "head.fc.weight");
  EXPECT_EQ(file.tensors()[0].shape, (std::vector<std::int64_t>{2, 3}));
  float first = 0;
  std::memcpy(&first, file.tensors()[0].bytes.data(), sizeof(first));
  EXPECT_EQ(first, 2);
  EXPECT_EQ(file.metadata().at("model"), "R26x1");
  EXPECT_EQ(file.metadata().at("step"), "200");
  EXPECT_FALSE(std::filesystem::exists(output + ".tmp"));
  EXPECT_THAT(bit_model({"inspect", output}).out, HasSubstr("1 tensor, 6 parameters, 24 bytes"));
}

TEST_F(BitModel, export_takes_another_step_when_asked) {
  const std::string output = directory_ / "weights.safetensors";
  ASSERT_EQ(bit_model({"export", run_, "--output", output, "--step", "100"}).exit_code, 0);
  EXPECT_EQ(storage::SafetensorsFile(output).metadata().at("step"), "100");
}

TEST_F(BitModel, export_of_a_damaged_checkpoint_exits_77_and_writes_nothing) {
  flip_a_byte_of(200);
  const std::string output = directory_ / "weights.safetensors";
  const ProcessResult result = bit_model({"export", run_, "--output", output});
  EXPECT_EQ(result.exit_code, 77);
  EXPECT_THAT(result.err, HasSubstr("bit-model: error: " + checkpoint(200)));
  EXPECT_FALSE(std::filesystem::exists(output));
}

TEST_F(BitModel, export_names_the_other_steps_when_one_is_bad_or_absent) {
  const std::string output = directory_ / "weights.safetensors";
  EXPECT_THAT(bit_model({"export", run_, "--output", output, "--step", "150"}).err,
              HasSubstr("no checkpoint of step 150; there are 100, 200\n"));
  flip_a_byte_of(200);
  const std::string bad = bit_model({"export", run_, "--output", output}).err;
  EXPECT_THAT(bad, HasSubstr(checkpoint(200) + ": part-00000-of-00001.safetensors: "));
  EXPECT_THAT(bad, HasSubstr("(--step takes another one: 100)"));
}

TEST_F(BitModel, export_to_a_full_disk_exits_74_and_leaves_nothing) {
  const std::string output = directory_ / "weights.safetensors";
  // The message goes through a pipe: the limit holds for files.
  const ProcessResult result = test::run_process(
      {"bash", "-c", "(ulimit -f 0; exec \"$@\") 2>&1 | cat; exit ${PIPESTATUS[0]}", "limited",
       BIT_MODEL, "export", run_, "--output", output});
  EXPECT_EQ(result.exit_code, 74) << result.out;
  EXPECT_THAT(result.out, HasSubstr("weights.safetensors.tmp: File too large"));
  EXPECT_FALSE(std::filesystem::exists(output));
  EXPECT_FALSE(std::filesystem::exists(output + ".tmp"));
}

TEST_F(BitModel, command_lines_with_mistakes_are_answered_with_the_nearest_name) {
  const auto refusal = [](const std::vector<std::string>& arguments) {
    const ProcessResult result = bit_model(arguments);
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_EQ(refusal({"inspekt", "runs"}),
            "bit-model: error: there is no command 'inspekt'; there are inspect, verify, export; "
            "did you mean 'inspect'? (bit-model --help shows how)\n");
  EXPECT_EQ(refusal({"export", "runs", "--ouptut", "a"}),
            "bit-model: error: there is no option '--ouptut'; did you mean '--output'? (bit-model "
            "export --help shows how)\n");
  EXPECT_EQ(refusal({"export", "runs"}),
            "bit-model: error: --output is required (bit-model export --help shows how)\n");
}

TEST_F(BitModel, names_what_it_cannot_use) {
  const ProcessResult missing = bit_model({"inspect", directory_ / "nothing"});
  EXPECT_EQ(missing.exit_code, 74);
  EXPECT_THAT(missing.err, HasSubstr("nothing: No such file or directory"));

  std::filesystem::create_directory(directory_ / "empty");
  const ProcessResult empty = bit_model({"verify", directory_ / "empty"});
  EXPECT_EQ(empty.exit_code, 65);
  EXPECT_THAT(empty.err, HasSubstr("empty: neither a run"));
  EXPECT_TRUE(std::filesystem::is_empty(directory_ / "empty"));

  std::ofstream(directory_ / "text") << "hello, this is no tensor";
  const ProcessResult text = bit_model({"inspect", directory_ / "text"});
  EXPECT_EQ(text.exit_code, 65);
  EXPECT_THAT(text.err, HasSubstr("text"));
}

TEST_F(BitModel, explains_its_use) {
  EXPECT_EQ(bit_model({}).exit_code, 2);
  EXPECT_EQ(bit_model({"export", run_}).exit_code, 2);
  const ProcessResult help = bit_model({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("bit-model export runs/first --output"));
  const ProcessResult version = bit_model({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_TRUE(version.out.starts_with("bit "));
}

}  // namespace
}  // namespace bit::launcher
