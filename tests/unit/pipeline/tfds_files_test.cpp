// The files for TensorFlow Datasets, held against what its version 4.9.10 writes for the same
// features (its reading of them is tests/oracle's business).
#include "pipeline/convert/tfds_files.h"

#include <nlohmann/json.hpp>

#include "tests/unit/pipeline/convert_fixture.h"

namespace bit::pipeline {
namespace {

using nlohmann::json;
using testing::ElementsAre;

class TfdsFiles : public Convert {
 protected:
  void SetUp() override {}

  schemas::DatasetManifest manifest() const {
    schemas::DatasetManifest manifest;
    manifest.set_name("pictures");
    manifest.add_class_names("ant");
    manifest.add_class_names("bee");
    add_split(manifest, "train", "pictures-train.tfrecord", {7, 0, 5});
    return manifest;
  }
  static void add_split(schemas::DatasetManifest& manifest, const std::string& name,
                        const std::string& prefix, const std::vector<std::uint64_t>& records) {
    auto& split = *manifest.add_splits();
    split.set_name(name);
    for (std::size_t i = 0; i < records.size(); ++i) {
      auto& shard = *split.add_shards();
      shard.set_file(prefix + "-0000" + std::to_string(i) + "-of-0000" +
                     std::to_string(records.size()));
      shard.set_records(records[i]);
      shard.set_bytes(100 * records[i]);
    }
  }
  void write(const schemas::DatasetManifest& manifest) const {
    write_tfds_files(storage::posix_file_system(), directory_.path(), manifest);
  }
  std::string text(const std::string& file) const {
    return storage::read_file(storage::posix_file_system(), directory_ / file);
  }
  json info() const { return json::parse(text("dataset_info.json")); }
  json label() const {
    return json::parse(text("features.json"))
        .at("/featuresDict/features/image/featuresDict/features/class/featuresDict/features/label"_json_pointer);
  }
  bool exists(const std::string& file) const { return fs::exists(directory_ / file); }
};

TEST_F(TfdsFiles, every_split_has_its_template_lengths_and_bytes) {
  auto both = manifest();
  add_split(both, "val", "validation{1}", {3});
  write(both);
  EXPECT_EQ(info().at("name"), "pictures");
  EXPECT_EQ(info().at("fileFormat"), "tfrecord");
  EXPECT_EQ(info().at("splits"), json::parse(R"([
    {"name": "train", "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
     "numBytes": "1200", "shardLengths": ["7", "0", "5"]},
    {"name": "val", "filepathTemplate": "validation{{1}}-{SHARD_X_OF_Y}",
     "numBytes": "300", "shardLengths": ["3"]}])"));
}

TEST_F(TfdsFiles, single_labels_are_a_class_label_with_a_background) {
  write(manifest());
  EXPECT_EQ(label(), json::parse(R"({
    "pythonClassName": "tensorflow_datasets.core.features.class_label_feature.ClassLabel",
    "classLabel": {"numClasses": "3"}})"));
  EXPECT_EQ(text("image-class-label.labels.txt"), "background\nant\nbee\n");
}

TEST_F(TfdsFiles, several_labels_are_a_sequence) {
  auto several = manifest();
  add_split(several, "test", "pictures-test.tfrecord", {2});
  several.mutable_splits(1)->set_max_labels(3);
  write(several);
  EXPECT_EQ(label(), json::parse(R"({
    "pythonClassName": "tensorflow_datasets.core.features.sequence_feature.Sequence",
    "sequence": {"length": "-1", "feature": {
      "pythonClassName": "tensorflow_datasets.core.features.class_label_feature.ClassLabel",
      "classLabel": {"numClasses": "3"}}}})"));
}

TEST_F(TfdsFiles, labels_without_class_names_are_integers) {
  auto nameless = manifest();
  nameless.clear_class_names();
  write(manifest());
  write(nameless);
  EXPECT_EQ(label(), json::parse(R"({
    "pythonClassName": "tensorflow_datasets.core.features.scalar.Scalar",
    "tensor": {"shape": {}, "dtype": "int64", "encoding": "none"}})"));
  EXPECT_FALSE(exists("image-class-label.labels.txt"));
}

TEST_F(TfdsFiles, names_that_lines_cannot_hold_are_left_out) {
  for (const char* name : {"", " cat", "cat\nfish", "bee"}) {
    auto odd = manifest();
    odd.add_class_names(name);
    write(odd);
    EXPECT_FALSE(exists("image-class-label.labels.txt")) << name;
    EXPECT_EQ(label().at("classLabel").at("numClasses"), "4");
  }
  auto taken = manifest();
  taken.add_class_names("background");
  write(taken);
  EXPECT_EQ(text("image-class-label.labels.txt"), "no background\nant\nbee\nbackground\n");
}

TEST_F(TfdsFiles, what_tfds_wrote_itself_stays) {
  write_text(directory_ / "dataset_info.json", R"({"name": "pictures", "description": "Theirs."})");
  write(manifest());
  EXPECT_EQ(info().at("description"), "Theirs.");
  EXPECT_FALSE(exists("features.json"));
}

TEST_F(TfdsFiles, shards_that_tfds_cannot_name_have_no_files) {
  write(manifest());
  ASSERT_TRUE(exists("dataset_info.json"));
  auto odd = manifest();
  odd.mutable_splits(0)->mutable_shards(1)->set_file("something.tfrecord");
  write(odd);
  EXPECT_FALSE(exists("dataset_info.json"));
  EXPECT_FALSE(exists("features.json"));
  EXPECT_FALSE(exists("image-class-label.labels.txt"));
}

TEST_F(TfdsFiles, conversion_writes_them) {
  make_images(input_, 3, 4);
  run(options());
  const std::string data = "data/";
  EXPECT_EQ(json::parse(text(data + "dataset_info.json")).at("splits").at(0).at("shardLengths"),
            json::parse(R"(["4", "4", "4"])"));
  EXPECT_EQ(text(data + "image-class-label.labels.txt"), "background\nclass-0\nclass-1\nclass-2\n");
}

}  // namespace
}  // namespace bit::pipeline
