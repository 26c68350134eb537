// bit-model as people call it: a process, its output and its exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "storage/checkpoint_store.h"
#include "storage/safetensors.h"
#include "tests/support/process.h"
#include "tests/support/weight_file.h"
#include "trainer/weight_source.h"

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
    const std::vector<storage::TensorView> tensors = {{"model/head.fc.weight",
                                                       storage::DType::kF32,
                                                       {2, 3, 1, 1},
                                                       std::as_bytes(std::span(weight))},
                                                      {"momentum/head.fc.weight",
                                                       storage::DType::kF32,
                                                       {2, 3, 1, 1},
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
  EXPECT_THAT(result.out, HasSubstr("F32   [2, 3, 1, 1]"));
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
  EXPECT_EQ(file.tensors()[0].shape, (std::vector<std::int64_t>{2, 3, 1, 1}));
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
  EXPECT_THAT(bad, HasSubstr("(other steps: 100)"));
}

TEST_F(BitModel, export_of_a_run_that_is_no_bit_network_under_published_names_exits_65) {
  const ProcessResult result = bit_model({"export", run_, "--output", directory_ / "w.npz"});
  EXPECT_EQ(result.exit_code, 65);
  EXPECT_THAT(result.err, HasSubstr(checkpoint(200) + ": no BiT network"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "w.npz"));
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

// Weights of others.
class BitModelFormats : public BitModel {
 protected:
  void SetUp() override {}
  static test::Arrays small(trainer::WeightFormat format) {
    return test::network_arrays("R26x0.5", 3, format);
  }
  std::string write(const test::Arrays& arrays, const std::string& name) const {
    test::write_arrays(arrays, directory_ / name);
    return directory_ / name;
  }
  const std::string npz_ = write(small(trainer::WeightFormat::kBit), "bit.npz");
  const std::string imported_ = directory_ / "imported.safetensors";
};

TEST_F(BitModelFormats, import_makes_a_model_of_published_weights) {
  const ProcessResult result = bit_model({"import", npz_, "--output", imported_});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, imported_ + ": 81 tensors of " + npz_ +
                            " (R26x0.5 with 3 classes, names of bit), names of timm\n");
  const storage::SafetensorsFile file(imported_);
  EXPECT_EQ(file.metadata().at("model"), "R26x0.5");
  EXPECT_EQ(file.find("stem.conv.weight")->shape, (std::vector<std::int64_t>{32, 3, 7, 7}));
  EXPECT_EQ(bit_model({"diff", npz_, imported_}).exit_code, 0);
}

TEST_F(BitModelFormats, export_takes_the_format_from_the_name_or_the_option) {
  const auto exported = [&](const std::string& name, const std::vector<std::string>& options) {
    std::vector<std::string> arguments = {"export", npz_, "--output", directory_ / name};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const ProcessResult result = bit_model(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return trainer::WeightSource(directory_ / name).format();
  };
  EXPECT_EQ(exported("a.npz", {}), trainer::WeightFormat::kBit);
  EXPECT_EQ(exported("a.safetensors", {}), trainer::WeightFormat::kTimm);
  EXPECT_EQ(exported("b.npz", {"--format", "big_vision"}), trainer::WeightFormat::kBigVision);
  EXPECT_EQ(exported("weights", {"--format", "timm"}), trainer::WeightFormat::kTimm);
  EXPECT_EQ(bit_model({"diff", directory_ / "b.npz", directory_ / "weights"}).exit_code, 0);
}

TEST_F(BitModelFormats, formats_and_names_that_contradict_each_other_are_usage_errors) {
  const ProcessResult other =
      bit_model({"export", npz_, "--output", directory_ / "a.npz", "--format", "timm"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("format timm is kept in .safetensors files"));
  const ProcessResult none = bit_model({"export", npz_, "--output", directory_ / "weights"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("--format says which it is"));
  EXPECT_EQ(bit_model({"import", npz_, "--output", directory_ / "a.npz"}).exit_code, 2);
  EXPECT_THAT(bit_model({"export", npz_, "--output", "a", "--format", "tim"}).err,
              HasSubstr("did you mean 'timm'?"));
}

TEST_F(BitModelFormats, a_head_is_left_out_when_asked) {
  ASSERT_EQ(bit_model({"import", npz_, "--output", imported_, "--no-head"}).exit_code, 0);
  EXPECT_EQ(storage::SafetensorsFile(imported_).find("head.fc.bias"), nullptr);
  const ProcessResult all = bit_model({"diff", npz_, imported_});
  EXPECT_EQ(all.exit_code, 1);
  EXPECT_THAT(all.out, HasSubstr("only in A   head.fc.weight [3, 1024, 1, 1]\n"));
  EXPECT_EQ(bit_model({"diff", npz_, imported_, "--no-head"}).exit_code, 0);
}

TEST_F(BitModelFormats, diff_names_every_difference) {
  test::Arrays arrays = small(trainer::WeightFormat::kTimm);
  arrays.at("norm.weight").values[7] += 0.5F;
  arrays.erase("norm.bias");
  arrays["stages.9.blocks.0.norm1.bias"] = {{2}, {1, 2}};
  arrays.at("head.fc.bias") = {{5}, std::vector<float>(5)};
  const std::string other = write(arrays, "other.safetensors");
  const ProcessResult result = bit_model({"diff", npz_, other});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("values      norm.weight [1024]: largest difference 0.5, "));
  EXPECT_THAT(result.out, HasSubstr("only in A   norm.bias [1024]\n"));
  EXPECT_THAT(result.out, HasSubstr("only in B   stages.9.blocks.0.norm1.bias [2]\n"));
  EXPECT_THAT(result.out, HasSubstr("shape       head.fc.bias [3] in A, [5] in B\n"));
  EXPECT_THAT(result.out, HasSubstr("78 tensors equal, 1 of other values, 1 of another shape, "
                                    "1 only in A, 1 only in B; largest relative difference "));
}

TEST_F(BitModelFormats, diff_tolerates_what_it_is_told_to) {
  test::Arrays arrays = small(trainer::WeightFormat::kTimm);
  float& value = arrays.at("head.fc.bias").values[0];  // of the last weight: about 80
  value += 0.01F;
  const std::string other = write(arrays, "other.safetensors");
  EXPECT_EQ(bit_model({"diff", npz_, other}).exit_code, 1);
  EXPECT_EQ(bit_model({"diff", npz_, other, "--tolerance", "1e-3"}).exit_code, 0);
  EXPECT_EQ(bit_model({"diff", npz_, other, "--tolerance", "1e-5"}).exit_code, 1);
  EXPECT_EQ(bit_model({"diff", npz_, other, "--tolerance", "-1"}).exit_code, 2);
  value = std::numeric_limits<float>::quiet_NaN();
  const std::string nan = write(arrays, "nan.safetensors");
  EXPECT_EQ(bit_model({"diff", nan, nan}).exit_code, 0);
  EXPECT_EQ(bit_model({"diff", npz_, nan, "--tolerance", "1000"}).exit_code, 1);
}

TEST_F(BitModelFormats, inspect_shows_what_is_in_an_npz_file) {
  const ProcessResult result = bit_model({"inspect", npz_});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("resnet/root_block/standardized_conv2d/kernel"));
  EXPECT_THAT(result.out, HasSubstr("<f4   [7, 7, 3, 32]\n"));
  EXPECT_THAT(result.out, HasSubstr("R26x0.5 with 3 classes, names of bit\n81 tensors, "));
}

TEST_F(BitModelFormats, verify_reads_every_array_of_an_npz_file) {
  EXPECT_EQ(bit_model({"verify", npz_}).exit_code, 0);
  std::fstream file(npz_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(100000);
  file.put('\x55');
  file.close();
  EXPECT_EQ(bit_model({"inspect", npz_}).exit_code, 0);
  const ProcessResult result = bit_model({"verify", npz_});
  EXPECT_EQ(result.exit_code, 65);
  EXPECT_THAT(result.err, HasSubstr("its checksum is wrong: the data is damaged"));
}

TEST_F(BitModelFormats, weights_that_are_not_whole_are_refused_and_nothing_is_written) {
  test::Arrays arrays = small(trainer::WeightFormat::kBit);
  arrays.erase("resnet/block2/unit01/a/proj/standardized_conv2d/kernel");
  const ProcessResult result =
      bit_model({"import", write(arrays, "cut.npz"), "--output", imported_});
  EXPECT_EQ(result.exit_code, 65);
  EXPECT_THAT(result.err, HasSubstr("as R26x0.5 with 3 classes: missing: "
                                    "resnet/block2/unit01/a/proj/standardized_conv2d/kernel"));
  EXPECT_FALSE(std::filesystem::exists(imported_));
}

TEST_F(BitModel, command_lines_with_mistakes_are_answered_with_the_nearest_name) {
  const auto refusal = [](const std::vector<std::string>& arguments) {
    const ProcessResult result = bit_model(arguments);
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_EQ(refusal({"inspekt", "runs"}),
            "bit-model: error: there is no command 'inspekt'; there are inspect, verify, export, "
            "import, diff; did you mean 'inspect'? (bit-model --help shows how)\n");
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
