// Directories as TensorFlow Datasets and this project write them, and broken ones.
#include "pipeline/convert/tfds_directory.h"

#include "tests/support/test_dataset.h"
#include "tests/unit/pipeline/listing_fixture.h"

namespace bit::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TfdsDirectoryTest : public ListingTest {
 protected:
  // dataset_info.json with a split `train` of two shards and a split `test` that `more` ends.
  void write_info(const std::string& more = "\"shardLengths\": [\"1\"]",
                  const std::string& format = "tfrecord") {
    write("dataset_info.json",
          "{\"name\": \"pets\", \"version\": \"1.0.0\", \"fileFormat\": \"" + format +
              "\", \"splits\": [{\"name\": \"train\", \"numBytes\": \"9\", \"shardLengths\": "
              "[\"3\", \"2\"], \"filepathTemplate\": "
              "\"{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}\"}, {\"name\": \"test\", " +
              more + "}]}");
  }
  std::vector<std::string> shards(const std::string& split) {
    std::vector<std::string> paths = find_tfrecord_split(files_, directory_.path(), split).shards;
    for (std::string& path : paths) path = below(path);
    return paths;
  }
  std::string refusal(const std::string& split) {
    return below(what_is_thrown<storage::DataError>([&] { shards(split); }));
  }
};

TEST_F(TfdsDirectoryTest, finds_the_shards_and_the_classes_of_a_split) {
  write_info();
  write("features.json", "{}");
  write("coarse_label.labels.txt", "animal\n");
  write("label.labels.txt", "dog\ncat\n");
  for (const char* name :
       {"pets-train.tfrecord-00000-of-00002", "pets-train.tfrecord-00001-of-00002",
        "pets-test.tfrecord-00000-of-00001"}) {
    write(name, "");
  }
  EXPECT_TRUE(describes_tfrecords(files_, directory_.path()));
  EXPECT_THAT(shards("train"), ElementsAre("pets-train.tfrecord-00000-of-00002",
                                           "pets-train.tfrecord-00001-of-00002"));
  EXPECT_THAT(shards("test"), ElementsAre("pets-test.tfrecord-00000-of-00001"));
  const auto found = find_tfrecord_split(files_, directory_.path(), "train");
  EXPECT_THAT(found.classes.names, ElementsAre("dog", "cat"));
  EXPECT_EQ(below(found.classes.source), "label.labels.txt");
  EXPECT_EQ(refusal("validation"), "dataset_info.json: no split `validation`, but train, test");
}

TEST_F(TfdsDirectoryTest, names_files_as_the_template_says) {
  write_info(
      "\"numShards\": \"123456\", \"filepathTemplate\": "
      "\"{SPLIT}/{SHARD_INDEX}_{NUM_SHARDS}.x\"");
  EXPECT_THAT(refusal("test"), HasSubstr("123456 of 123456 shards are missing: "
                                         "test/000000_123456.x, test/000001_123456.x, "));
  EXPECT_THAT(refusal("test"), testing::EndsWith(" and 123436 more"));
  for (const char* wrong : {"{SPLIT}-{COLOUR}", "{SPLIT", "../{SPLIT}", "/etc/{SPLIT}", "a{}"}) {
    write_info("\"shardLengths\": [\"1\"], \"filepathTemplate\": \"" + std::string(wrong) + "\"");
    EXPECT_THAT(refusal("test"), HasSubstr("dataset_info.json: split `test`: file names "))
        << wrong;
  }
}

TEST_F(TfdsDirectoryTest, lists_what_is_missing) {
  write_info();
  write("pets-train.tfrecord-00001-of-00002", "");
  EXPECT_THAT(refusal("train"),
              HasSubstr("1 of 2 shards are missing: pets-train.tfrecord-00000-of-00002"));
}

TEST_F(TfdsDirectoryTest, refuses_other_formats_by_name) {
  write_info("\"shardLengths\": [\"1\"]", "array_record");
  EXPECT_EQ(refusal("train"),
            "dataset_info.json: the files are array_record, and only tfrecord is read");
}

TEST_F(TfdsDirectoryTest, refuses_what_it_does_not_understand) {
  EXPECT_THAT(refusal("train"), HasSubstr("neither dataset.json nor dataset_info.json is in it"));
  EXPECT_FALSE(describes_tfrecords(files_, directory_.path()));
  for (const char* text : {"", "[]", "{\"splits\"", "\xFF"}) {
    write("dataset_info.json", text);
    EXPECT_EQ(refusal("train"), "dataset_info.json: not a JSON object") << text;
  }
  for (const char* text : {"{}", "{\"splits\": 3}", "{\"splits\": [1, {}]}"}) {
    write("dataset_info.json", text);
    EXPECT_THAT(refusal("train"), HasSubstr("dataset_info.json: no split `train`")) << text;
  }
  for (const char* more : {"\"shardLengths\": []", "\"numShards\": \"-1\"", "\"numShards\": {}"}) {
    write_info(more);
    EXPECT_EQ(refusal("test"), "dataset_info.json: split `test`: it has no shards") << more;
  }
}

TEST_F(TfdsDirectoryTest, says_where_the_version_is) {
  write("1.0.0/dataset_info.json", "{}");
  EXPECT_THAT(refusal("train"), HasSubstr("is 1.0.0 the input you mean?"));
}

TEST_F(TfdsDirectoryTest, takes_our_own_directories_by_their_manifest) {
  const auto records = test::test_records(5, 2);
  test::write_test_dataset(directory_.path(), "train", records, 2, 2);
  write("dataset_info.json", "not looked at");
  EXPECT_THAT(shards("train"), ElementsAre("test-train.tfrecord-00000-of-00002",
                                           "test-train.tfrecord-00001-of-00002"));
  EXPECT_EQ(find_tfrecord_split(files_, directory_.path(), "train").classes.names.size(), 2u);
  EXPECT_EQ(refusal("val"), "dataset.json: no split `val`, but train");
  files_.remove(directory_ / "test-train.tfrecord-00001-of-00002");
  EXPECT_THAT(refusal("train"), HasSubstr("missing: test-train.tfrecord-00001-of-00002"));
}

}  // namespace
}  // namespace bit::pipeline
