// Weight files of any format under timm's names, what is said of those that do not fit, and weights
// written again.
#include "trainer/weight_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "storage/tfrecord.h"
#include "tests/support/temp_directory.h"
#include "tests/support/weight_file.h"
#include "trainer/model_path.h"
#include "trainer/weight_check.h"

namespace bit::trainer {
namespace {

using test::Arrays;
using test::NamedArray;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Source : public testing::Test {
 protected:
  std::string write(const Arrays& arrays, const std::string& name = "weights.npz") const {
    test::write_arrays(arrays, directory_ / name);
    return directory_ / name;
  }
  std::string refusal(const Arrays& arrays) const {
    const std::string path = write(arrays);
    try {
      require_network(WeightSource(path));
    } catch (const storage::DataError& error) {
      EXPECT_THAT(error.what(), StartsWith(path + ": "));
      return std::string(error.what()).substr(path.size() + 2);
    }
    return "nothing";
  }
  static Arrays small(WeightFormat format = WeightFormat::kBit, int classes = 3) {
    return test::network_arrays("R26x0.5", classes, format);
  }

  test::TempDirectory directory_;
};

std::vector<float> values_of(const WeightSource& source, const std::string& name) {
  const SourceWeight* weight = source.find(name);
  if (weight == nullptr) throw std::runtime_error("no " + name);
  std::vector<float> values(weight->elements);
  source.read(*weight, values);
  return values;
}

TEST_F(Source, the_format_is_told_by_content_and_names) {
  const Arrays timm = small(WeightFormat::kTimm);
  for (const WeightFormat format : kWeightFormats) {
    for (const char* name : {"a.npz", "a.safetensors"}) {
      const WeightSource source(write(small(format), name));
      EXPECT_EQ(source.format(), format);
      EXPECT_EQ(source.weights().size(), timm.size());
      for (const auto& [timm_name, array] : timm) {
        ASSERT_NE(source.find(timm_name), nullptr) << timm_name;
        EXPECT_EQ(source.find(timm_name)->shape, array.shape);
        EXPECT_EQ(values_of(source, timm_name), array.values) << timm_name;
      }
      EXPECT_EQ(require_network(source).name, "R26x0.5");
    }
  }
}

TEST_F(Source, the_rest_of_a_big_vision_checkpoint_is_left_out) {
  Arrays arrays;
  for (auto& [name, array] : small(WeightFormat::kBigVision)) arrays["params/" + name] = array;
  arrays["opt/0/mu/head/bias"] = {{3}, {1, 2, 3}};
  arrays["extra"] = {{}, {1}};
  const WeightSource source(write(arrays));
  EXPECT_EQ(source.weights().size(), arrays.size() - 2);
  EXPECT_EQ(require_network(source).config.classes, 3);
  EXPECT_EQ(source.name_there("norm.bias"), "params/norm-pre-head/bias");
}

TEST_F(Source, the_network_is_seen_in_names_and_shapes) {
  EXPECT_EQ(describe_network(WeightSource(write(small()))), "R26x0.5 with 3 classes");
  Arrays arrays = small();
  std::erase_if(arrays, [](const auto& one) { return one.first.starts_with("resnet/head"); });
  const WeightSource headless(write(arrays));
  EXPECT_EQ(describe_network(headless), "R26x0.5 without a head");
  EXPECT_EQ(require_network(headless).config.classes, 0);
  std::erase_if(arrays, [](const auto& one) { return one.first.find("block4") != one.first.npos; });
  EXPECT_EQ(describe_network(WeightSource(write(arrays))), "no BiT network");
}

TEST_F(Source, names_what_is_missing_not_expected_and_of_another_shape) {
  Arrays arrays = small();
  arrays.erase("resnet/block4/unit02/c/standardized_conv2d/kernel");
  EXPECT_EQ(refusal(arrays),
            "as R26x0.5 with 3 classes: missing: "
            "resnet/block4/unit02/c/standardized_conv2d/kernel (stages.3.blocks.1.conv3.weight)");
  arrays = small();
  arrays["resnet/global_step"] = {{}, {1}};
  EXPECT_EQ(refusal(arrays), "as R26x0.5 with 3 classes: not expected: resnet/global_step");
  arrays = small();
  arrays["resnet/group_norm/gamma"] = {{2, 2}, {1, 2, 3, 4}};
  EXPECT_EQ(refusal(arrays),
            "as R26x0.5 with 3 classes: resnet/group_norm/gamma (norm.weight) is [2, 2], wanted "
            "[1024]");
  arrays = small();
  arrays.erase("resnet/head/conv2d/bias");
  EXPECT_THAT(refusal(arrays), EndsWith("missing: resnet/head/conv2d/bias (head.fc.bias)"));
}

TEST_F(Source, of_many_mismatches_a_few_are_named_and_the_rest_counted) {
  Arrays arrays = small();
  std::erase_if(arrays, [](const auto& one) { return one.first.ends_with("/beta"); });
  EXPECT_THAT(refusal(arrays), AllOf(HasSubstr("missing: resnet/block1/unit01/a/group_norm/beta"),
                                     EndsWith(" and 22 more")));
}

TEST_F(Source, two_names_of_one_weight_are_refused) {
  Arrays arrays = small();
  arrays["resnet/root_block/standardized_conv2d_7/kernel"] =
      arrays.at("resnet/root_block/standardized_conv2d/kernel");
  EXPECT_THAT(refusal(arrays),
              AllOf(HasSubstr("standardized_conv2d_7/kernel"), EndsWith("are the same weight")));
}

TEST_F(Source, files_of_other_kinds_are_called_what_they_are) {
  EXPECT_EQ(refusal({}), "there are no tensors in it");
  EXPECT_EQ(refusal({{"embedding/kernel", {{1}, {1}}}}),
            "none of its 1 tensors has the name of a BiT weight; the first is 'embedding/kernel'");
  const auto said = [&](const std::string& content) {
    const std::string path = directory_ / "file";
    std::ofstream(path, std::ios::binary) << content;
    try {
      const WeightSource source(path);
    } catch (const storage::DataError& error) {
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  EXPECT_THAT(said("\x89HDF\r\n\x1a\n and more"), HasSubstr("an HDF5 file is not read"));
  EXPECT_THAT(said("\x93NUMPY\x01"), HasSubstr("a single array of numpy"));
  EXPECT_THAT(said("hello, this is no tensor"), HasSubstr("the header is larger than 100 MB"));
  EXPECT_THROW(WeightSource(directory_ / "nothing"), storage::StorageError);
}

TEST_F(Source, damage_is_found_when_it_is_read) {
  const std::string path = write(small());
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(5000);  // inside the first kernel
  file.put('\x55');
  file.close();
  const WeightSource source(path);
  EXPECT_THROW(export_weights(source, WeightFormat::kTimm, /*with_head=*/true, directory_ / "out"),
               storage::DataError);
  EXPECT_FALSE(std::ifstream(directory_ / "out").good());
  EXPECT_FALSE(std::ifstream(directory_ / "out.tmp").good());
}

TEST_F(Source, is_written_in_every_format_with_and_without_its_head) {
  const WeightSource source(write(small()));
  for (const WeightFormat format : kWeightFormats) {
    const std::string whole = directory_ / "whole";
    const Arrays expected = small(format);
    EXPECT_EQ(export_weights(source, format, /*with_head=*/true, whole), expected.size());
    const auto file = open_weight_file(whole);
    ASSERT_EQ(file->tensors().size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const StoredTensor& tensor = file->tensors()[i];
      const NamedArray& array = expected.at(tensor.name);
      EXPECT_EQ(tensor.shape, array.shape) << tensor.name;
      std::vector<float> values(tensor.bytes / sizeof(float));
      file->read(i, std::as_writable_bytes(std::span(values)));
      EXPECT_EQ(values, array.values) << tensor.name;
    }
    EXPECT_EQ(export_weights(source, format, /*with_head=*/false, whole), expected.size() - 2);
    EXPECT_EQ(describe_network(WeightSource(whole)), "R26x0.5 without a head");
  }
}

TEST_F(Source, weights_that_only_this_project_has_get_no_published_name) {
  Arrays arrays = small(WeightFormat::kTimm);
  arrays["stages.0.blocks.0.norm1.running_mean"] = {{32}, std::vector<float>(32)};
  const WeightSource source(write(arrays, "weights.safetensors"));
  const std::string out = directory_ / "out";
  EXPECT_EQ(export_weights(source, WeightFormat::kTimm, true, out), arrays.size());
  EXPECT_THROW(export_weights(source, WeightFormat::kBit, true, out), storage::DataError);
}

TEST_F(Source, a_run_is_its_newest_checkpoint_and_every_byte_of_it_is_checked) {
  const Arrays arrays = small(WeightFormat::kTimm);
  storage::CheckpointStore store(storage::posix_file_system(), directory_ / "run/checkpoints");
  for (const std::uint64_t step : {10, 20}) {
    std::vector<storage::TensorView> views;
    for (const auto& [name, array] : arrays) {
      views.push_back({"model/" + name, storage::DType::kF32, array.shape,
                       std::as_bytes(std::span(array.values))});
      if (step == 20) break;  // a checkpoint of another network
    }
    const std::string temporary = store.begin(step, "test");
    schemas::CheckpointManifest manifest;
    manifest.set_step(step);
    manifest.set_ranks(1);
    manifest.set_config("model { name: \"R26x0.5\" }");
    *manifest.add_parts() = store.write_part(temporary, 0, 1, views);
    store.publish(temporary, manifest);
  }
  EXPECT_EQ(WeightSource(directory_ / "run").weights().size(), 1u);
  EXPECT_EQ(WeightSource(directory_ / "run", 10).weights().size(), arrays.size());
  const WeightSource source(store.path(10));
  EXPECT_TRUE(source.is_checkpoint());
  EXPECT_EQ(source.metadata().at("step"), "10");
  EXPECT_EQ(source.metadata().at("model"), "R26x0.5");
  EXPECT_EQ(values_of(source, "norm.bias"), arrays.at("norm.bias").values);

  std::fstream file(store.path(10) + "/part-00000-of-00001.safetensors",
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x55');
  file.close();
  EXPECT_THROW(WeightSource(store.path(10)), NoUsableCheckpoint);
}

}  // namespace
}  // namespace bit::trainer
