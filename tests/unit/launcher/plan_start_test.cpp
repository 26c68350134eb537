// What a run finds before it starts: its splits, its output directory, checkpoints and weights.
#include "launcher/plan_start.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "launcher/plan_data.h"
#include "storage/checkpoint_store.h"
#include "storage/safetensors.h"
#include "tests/support/process.h"
#include "tests/support/test_dataset.h"
#include "tests/support/weight_file.h"
#include "trainer/resnet_v2.h"

namespace bit::launcher {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Start : public testing::Test {
 protected:
  LoadedConfig config(std::vector<std::string> overrides = {}) const {
    overrides.insert(overrides.begin(), {"output=" + output_, "data.path=shards"});
    return parse_config("batch: 4\nmodel: {name: R26x0.5}\n", "x.yaml", overrides);
  }
  RunStart start(const std::vector<std::string>& overrides = {}) const {
    const LoadedConfig loaded = config(overrides);
    cluster::Topology topology;
    topology.hosts = {"here"};
    return find_start(loaded, make_plan(loaded, {100, 10, 1000}, std::nullopt, topology), "hash");
  }
  std::string refusal(const std::vector<std::string>& overrides) const {
    try {
      start(overrides);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }
  // Zeros for every weight of a model.
  std::string write_weights(const std::string& model, int classes) const {
    std::vector<storage::TensorView> tensors;
    std::vector<std::vector<std::byte>> bytes;
    for (const auto& [name, shape] :
         trainer::weight_shapes(trainer::parse_model_name(model, classes))) {
      std::size_t size = sizeof(float);
      for (const auto extent : shape) size *= static_cast<std::size_t>(extent);
      bytes.emplace_back(size);
      tensors.push_back({name, storage::DType::kF32, shape, bytes.back()});
    }
    const std::string path = directory_ / "weights.safetensors";
    storage::write_safetensors(storage::posix_file_system(), path, tensors);
    return path;
  }

  test::TempDirectory directory_;
  std::string output_ = directory_ / "runs/new";
};

TEST_F(Start, a_new_run_begins_from_the_seed_and_leaves_nothing_behind) {
  const RunStart found = start();
  EXPECT_FALSE(found.checkpoint);
  EXPECT_EQ(found.init, "");
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

TEST_F(Start, the_newest_checkpoint_is_resumed) {
  for (const char* step : {"step-000000000010", "step-000000000020", "tmp-step-000000000030-x"}) {
    std::filesystem::create_directories(output_ + "/checkpoints/" + step);
  }
  // Weights to start from are not asked for any more.
  EXPECT_EQ(start({"model.init=/nowhere"}).checkpoint, 20u);
}

TEST_F(Start, a_checkpoint_of_another_run_is_refused) {
  storage::CheckpointStore store(storage::posix_file_system(), output_ + "/checkpoints");
  schemas::CheckpointManifest manifest;
  manifest.set_step(10);
  manifest.set_ranks(1);
  const std::string temporary = store.begin(10, "test");
  const float weight = 1;
  const storage::TensorView tensor{
      "model/a", storage::DType::kF32, {1}, std::as_bytes(std::span(&weight, 1))};
  *manifest.add_parts() = store.write_part(temporary, 0, 1, std::span(&tensor, 1));
  store.publish(temporary, manifest);
  EXPECT_THROW(start(), trainer::ResumeMismatch);
}

TEST_F(Start, an_output_that_cannot_be_made_is_named_with_its_setting) {
  std::ofstream(directory_ / "file") << "in the way";
  for (const std::string& output : {directory_ / "file/run", std::string("/proc/run")}) {
    try {
      start({"output=" + output});
      FAIL() << output;
    } catch (const storage::StorageError& error) {
      EXPECT_THAT(error.what(), HasSubstr("override 3 (output=" + output +
                                          "): output cannot be "
                                          "written: make " +
                                          output + ": "));
    }
  }
}

TEST_F(Start, weights_have_to_be_those_of_the_model) {
  const std::string path = write_weights("R26x0.5", 10);
  const RunStart found = start({"model.init=" + path});
  EXPECT_EQ(found.init, path);
  EXPECT_TRUE(found.head_fits);
  EXPECT_THAT(refusal({"model.init=" + path, "model.name=R26x1"}),
              AllOf(HasSubstr("these are not weights of R26x1: stem.conv.weight is [32, 3, 7, 7], "
                              "wanted [64, 3, 7, 7], "),
                    HasSubstr("; the file seems to hold R26x0.5 with 10 classes")));
  EXPECT_THAT(refusal({"model.init=" + path, "model.name=R50x0.5"}),
              HasSubstr("missing: stages.0.blocks.2.norm1.weight, "));
}

TEST_F(Start, published_files_and_checkpoints_are_weights_too) {
  const std::string npz = directory_ / "weights.npz";
  const auto arrays = test::network_arrays("R26x0.5", 10, trainer::WeightFormat::kBit);
  test::write_arrays(arrays, npz);
  EXPECT_TRUE(start({"model.init=" + npz}).head_fits);

  storage::CheckpointStore store(storage::posix_file_system(), directory_ / "old/checkpoints");
  const std::string temporary = store.begin(10, "test");
  const storage::SafetensorsFile weights(write_weights("R26x0.5", 10));
  std::vector<storage::TensorView> tensors = weights.tensors();
  for (auto& tensor : tensors) tensor.name = "model/" + tensor.name;
  schemas::CheckpointManifest manifest;
  manifest.set_step(10);
  manifest.set_ranks(1);
  *manifest.add_parts() = store.write_part(temporary, 0, 1, tensors);
  store.publish(temporary, manifest);
  EXPECT_TRUE(start({"model.init=" + (directory_ / "old")}).head_fits);
  EXPECT_TRUE(start({"model.init=" + store.path(10)}).head_fits);
  std::filesystem::resize_file(store.path(10) + "/part-00000-of-00001.safetensors", 1000);
  EXPECT_THAT(refusal({"model.init=" + (directory_ / "old")}),
              HasSubstr("no weights can be read from it: " + store.path(10) + ": "));
}

TEST_F(Start, a_head_of_other_classes_is_no_mistake) {
  EXPECT_FALSE(start({"model.init=" + write_weights("R26x0.5", 11)}).head_fits);
}

TEST_F(Start, weights_that_are_none_are_named_with_their_setting) {
  EXPECT_EQ(
      refusal({"model.init=/nowhere"}),
      "override 3 (model.init=/nowhere): model.init is '/nowhere': it cannot be read: No such "
      "file or directory");
  const std::string yaml = directory_ / "run.yaml";
  std::ofstream(yaml) << "output: runs/first\nbatch: 64\n";
  EXPECT_THAT(refusal({"model.init=" + yaml}), HasSubstr("no weights can be read from it: "));
}

TEST(WeightShapes, are_those_of_the_model_that_is_built) {
  const auto config = trainer::parse_model_name("R26x0.5", 7);
  const trainer::ResNetV2 model(config, trainer::Precision::kFp32, 0);
  const auto shapes = trainer::weight_shapes(config);
  ASSERT_EQ(shapes.size(), model.parameters().size());
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    EXPECT_EQ(shapes[i].name, model.parameters()[i].name);
    EXPECT_EQ(shapes[i].shape, model.parameters()[i].value.sizes().vec()) << shapes[i].name;
  }
}

std::string data_refusal(const std::vector<std::string>& overrides) {
  try {
    open_run_data(parse_config("output: runs/a\n", "x.yaml", overrides));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(RunData, a_path_that_is_not_there_is_a_mistake_of_its_setting) {
  const test::TempDirectory directory;
  EXPECT_THAT(data_refusal({"data.path=/nope"}),
              StartsWith("override 1 (data.path=/nope): data.path is '/nope': there is no such "
                         "directory"));
  EXPECT_THAT(data_refusal({"data.path=" + directory.path()}),
              HasSubstr("there is no dataset.json in it; `bit-shard index " + directory.path()));
}

TEST(RunData, splits_that_are_not_there_are_mistakes_of_their_settings) {
  const test::TempDirectory directory;
  test::write_test_dataset(directory.path(), "train", test::test_records(4, 2), 1, 2);
  EXPECT_EQ(data_refusal(
                {"data.path=" + directory.path(), "data.split=trian", "evaluate.split=zzzzzzzzz"}),
            "override 2 (data.split=trian): data.split is 'trian': no such split in " +
                directory.path() + "; there are train; did you mean 'train'?\n" +
                "override 3 (evaluate.split=zzzzzzzzz): evaluate.split is 'zzzzzzzzz': no such "
                "split in " +
                directory.path() + "; there are train");
}

}  // namespace
}  // namespace bit::launcher
