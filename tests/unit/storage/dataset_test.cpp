// Datasets from their directory: indexing foreign shards, opening splits, and every way a directory
// can be wrong.
#include "storage/dataset.h"

#include <gtest/gtest.h>

#include <thread>

#include "schemas/example.pb.h"
#include "storage/crc32c.h"
#include "storage/dataset_manifest.h"
#include "storage/hash64.h"
#include "storage/index_shards.h"
#include "storage/record_index.h"
#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DatasetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    first_ = write_records(directory_ / shards_[0],
                           {image_record("image a", {0}, "a"), image_record("image b", {2}, "b")});
    write_records(directory_ / shards_[1], {image_record("image c", {1, 2}, "c")});
  }

  IndexSummary index() { return index_shards(files_, directory_.path(), "train", shards_); }
  // Indexes the shards and writes the directory's dataset.json and index.
  void publish(std::vector<std::string> class_names = {"cat", "dog", "owl"}) {
    IndexSummary summary = index();
    summary.split.set_index_hash(
        summary.index.write(files_, directory_ / index_file_name("pets", "train")));
    manifest_.set_name("pets");
    manifest_.clear_class_names();
    for (const std::string& name : class_names) manifest_.add_class_names(name);
    replace_split(manifest_, summary.split);
    write_manifest(files_, directory_.path(), manifest_);
  }
  Dataset open(const std::string& split = "train") {
    return Dataset::open(directory_.path(), split);
  }
  std::string open_error(const std::string& split = "train") {
    return message_of<DataError>([&] { open(split); });
  }
  static std::string index_hash(const std::string& path) {
    return hash_digits(RecordIndex::open(path).content_hash());
  }
  // Turns over one bit of a file.
  void flip_bit(const std::string& path, std::size_t at) {
    std::string content = read_file(files_, path);
    content[at] = static_cast<char>(content[at] ^ 1);
    write_text(path, content);
  }

  FileSystem& files_ = posix_file_system();
  test::TempDirectory directory_;
  const std::vector<std::string> shards_ = {shard_file_name("pets", "train", 0, 2),
                                            shard_file_name("pets", "train", 1, 2)};
  std::vector<std::uint64_t> first_;  // offsets of the records of the first shard
  schemas::DatasetManifest manifest_;
};

TEST(FileNames, follow_the_published_pattern) {
  EXPECT_EQ(shard_file_name("imagenet", "train", 3, 1024),
            "imagenet-train.tfrecord-00003-of-01024");
  EXPECT_EQ(index_file_name("imagenet", "train"), "imagenet-train.index");
  EXPECT_EQ(sidecar_file_name("a.tfrecord"), "a.tfrecord.idx");
}

TEST_F(DatasetTest, opens_what_was_indexed) {
  publish();
  const Dataset dataset = open();
  EXPECT_EQ(dataset.directory(), directory_.path());
  EXPECT_EQ(dataset.split(), "train");
  EXPECT_EQ(dataset.records(), 3u);
  EXPECT_EQ(dataset.classes(), 3u);
  EXPECT_THAT(dataset.class_names(), ElementsAre("cat", "dog", "owl"));
  EXPECT_THAT(dataset.shards(), ElementsAre(directory_ / shards_[0], directory_ / shards_[1]));
  EXPECT_EQ(dataset.bytes(),
            files_.file_size(directory_ / shards_[0]) + files_.file_size(directory_ / shards_[1]));
  EXPECT_THAT(dataset.labels(2), ElementsAre(1, 2));
  EXPECT_EQ(dataset.width(0), 640u);
  EXPECT_EQ(dataset.height(0), 480u);
  EXPECT_EQ(dataset.location(1).shard, 0u);
  EXPECT_EQ(dataset.location(1).offset, first_[1]);
  EXPECT_EQ(dataset.location(2).shard, 1u);
}

TEST_F(DatasetTest, records_are_read_at_their_locations_from_any_thread) {
  publish();
  const Dataset dataset = open();
  std::vector<std::string> images(8);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < images.size(); ++i) {
      threads.emplace_back([&, i] {
        const RecordLocation location = dataset.location(i % 2);
        std::vector<std::byte> bytes(location.bytes);
        dataset.shard_file(location.shard).read_at(location.offset, bytes);
        images[i] = text_of(parse_image_example(parse_record(bytes).data).encoded);
      });
    }
  }
  for (std::size_t i = 0; i < images.size(); ++i) {
    EXPECT_EQ(images[i], i % 2 == 0 ? "image a" : "image b");
  }
}

TEST_F(DatasetTest, indexing_sums_up_labels_sizes_and_checksums) {
  const IndexSummary summary = index();
  EXPECT_EQ(summary.labels.min, 0);
  EXPECT_EQ(summary.labels.max, 2);
  EXPECT_EQ(summary.labels.seen, 3u);
  EXPECT_EQ(summary.unlabelled, 0u);
  EXPECT_EQ(summary.split.name(), "train");
  EXPECT_EQ(summary.split.records(), 3u);
  ASSERT_EQ(summary.split.shards_size(), 2);
  const std::string content = read_file(files_, directory_ / shards_[0]);
  EXPECT_EQ(summary.split.shards(0).file(), shards_[0]);
  EXPECT_EQ(summary.split.shards(0).records(), 2u);
  EXPECT_EQ(summary.split.shards(0).bytes(), content.size());
  EXPECT_EQ(summary.split.shards(0).crc32c(), crc32c(bytes_of(content)));
}

TEST_F(DatasetTest, indexing_keeps_key_hash_and_checksum_of_each_record) {
  publish();
  const RecordIndex opened = RecordIndex::open(directory_ / "pets-train.index");
  EXPECT_EQ(opened.key_hash(1), hash_text("b"));
  EXPECT_EQ(opened.masked_crc(1), mask_crc32c(crc32c(bytes_of(image_record("image b", {2}, "b")))));
}

TEST_F(DatasetTest, indexing_writes_sidecars_as_dali_reads_them) {
  index();
  const std::uint64_t end = files_.file_size(directory_ / shards_[0]);
  EXPECT_EQ(read_file(files_, directory_ / (shards_[0] + ".idx")),
            "0 " + std::to_string(first_[1]) + "\n" + std::to_string(first_[1]) + " " +
                std::to_string(end - first_[1]) + "\n");
}

TEST_F(DatasetTest, indexing_can_leave_the_directory_alone) {
  index_shards(files_, directory_.path(), "train", shards_, {.write_sidecars = false});
  EXPECT_EQ(files_.list(directory_.path()).size(), 2u);
}

TEST_F(DatasetTest, indexing_tells_progress_up_to_the_last_byte) {
  std::vector<std::uint64_t> seen;
  std::uint64_t of = 0;
  index_shards(files_, directory_.path(), "train", shards_, {},
               [&](std::uint64_t bytes, std::uint64_t of_bytes) {
                 seen.push_back(bytes);
                 of = of_bytes;
               });
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  EXPECT_EQ(seen.back(), of);
}

TEST_F(DatasetTest, indexing_takes_the_other_key_convention_too) {
  schemas::Example example;
  auto& features = *example.mutable_features()->mutable_feature();
  features["image"].mutable_bytes_list()->add_value("image");
  features["label"].mutable_int64_list()->add_value(-1);
  write_records(directory_ / "tfds", {example.SerializeAsString()});
  const std::vector<std::string> shards = {"tfds"};
  const IndexSummary summary = index_shards(files_, directory_.path(), "test", shards);
  EXPECT_EQ(summary.unlabelled, 1u);
  EXPECT_EQ(summary.labels.max, -1);
}

TEST_F(DatasetTest, indexing_stops_at_a_truncated_shard_and_names_the_record) {
  const std::string path = directory_ / shards_[0];
  const std::string content = read_file(files_, path);
  write_text(path, content.substr(0, content.size() - 1));
  EXPECT_EQ(message_of<DataError>([&] { index(); }), path + ": record 1 at byte " +
                                                         std::to_string(first_[1]) +
                                                         ": the file ends inside the record");
}

TEST_F(DatasetTest, indexing_stops_at_damaged_data_and_lengths) {
  const std::string path = directory_ / shards_[0];
  flip_bit(path, first_[1] + kRecordHeaderBytes + 3);
  EXPECT_THAT(
      message_of<DataError>([&] { index(); }),
      AllOf(HasSubstr(path + ": record 1 at byte "), HasSubstr("the data fails its checksum")));
  flip_bit(path, first_[1]);
  EXPECT_THAT(
      message_of<DataError>([&] { index(); }),
      AllOf(HasSubstr(path + ": record 1 at byte "), HasSubstr("the length fails its checksum")));
}

TEST_F(DatasetTest, indexing_names_a_record_that_is_no_image) {
  write_records(directory_ / shards_[1], {"\xFF\xFF"});
  EXPECT_EQ(message_of<DataError>([&] { index(); }),
            directory_ / shards_[1] + ": record 0 at byte 0: not a tensorflow.Example");
}

TEST_F(DatasetTest, a_directory_without_dataset_json_says_what_makes_one) {
  EXPECT_THAT(open_error(), AllOf(HasSubstr(directory_.path() + ": no dataset.json"),
                                  HasSubstr("bit-shard index " + directory_.path())));
}

TEST_F(DatasetTest, a_missing_directory_is_named) {
  EXPECT_THAT(message_of<StorageError>([&] { Dataset::open(directory_ / "none", "train"); }),
              AllOf(HasSubstr(directory_ / "none"), HasSubstr("No such file")));
}

TEST_F(DatasetTest, an_unknown_split_is_answered_with_those_there_are) {
  publish();
  EXPECT_THAT(open_error("val"), AllOf(HasSubstr("no split 'val'"), HasSubstr("train")));
}

TEST_F(DatasetTest, a_damaged_dataset_json_is_named) {
  write_text(directory_ / "dataset.json", "{\"name\": ");
  EXPECT_THAT(open_error(), HasSubstr(directory_ / "dataset.json: "));
  write_text(directory_ / "dataset.json", "{\"class_name\": [\"cat\"]}");
  EXPECT_THAT(open_error(), HasSubstr("class_name"));
}

TEST_F(DatasetTest, a_missing_index_is_named) {
  publish();
  files_.remove(directory_ / "pets-train.index");
  EXPECT_THAT(message_of<StorageError>([&] { open(); }),
              HasSubstr(directory_ / "pets-train.index"));
}

TEST_F(DatasetTest, an_index_of_other_shards_is_stale) {
  publish();
  write_records(directory_ / shards_[1], {image_record("other", {1}, "d")});
  const std::vector<std::string> one = {shards_[0]};
  index_shards(files_, directory_.path(), "train", one)
      .index.write(files_, directory_ / "pets-train.index");
  EXPECT_THAT(open_error(), HasSubstr(directory_ / "pets-train.index: stale"));
}

// Same shards, records and sizes, other labels: only the hash tells them apart.
TEST_F(DatasetTest, an_index_that_dataset_json_was_not_written_with_is_refused) {
  publish();
  const std::string path = directory_ / "pets-train.index";
  const std::string right = index_hash(path);
  write_records(directory_ / shards_[1], {image_record("image c", {2, 1}, "c")});
  index().index.write(files_, path);
  EXPECT_THAT(open_error(),
              AllOf(HasSubstr(path + ": stale or of another dataset: its content hash is " +
                              index_hash(path) + ", dataset.json says " + right),
                    HasSubstr("bit-shard index")));
}

TEST_F(DatasetTest, a_dataset_json_without_the_hash_of_the_index_is_read) {
  publish();
  manifest_.mutable_splits(0)->clear_index_hash();
  write_manifest(files_, directory_.path(), manifest_);
  EXPECT_EQ(open().records(), 3u);
}

TEST_F(DatasetTest, a_missing_shard_makes_the_set_incomplete) {
  publish();
  files_.remove(directory_ / shards_[1]);
  EXPECT_EQ(open_error(),
            directory_ / shards_[1] + ": missing; it is shard 2 of 2 of split 'train'");
}

TEST_F(DatasetTest, a_shard_of_another_size_is_named_with_both_sizes) {
  publish();
  const std::string path = directory_ / shards_[1];
  const std::string content = read_file(files_, path);
  write_text(path, content + "x");
  EXPECT_THAT(open_error(), AllOf(HasSubstr(path), HasSubstr(std::to_string(content.size())),
                                  HasSubstr(std::to_string(content.size() + 1))));
}

TEST_F(DatasetTest, labels_beyond_the_class_names_are_an_error) {
  publish({"cat", "dog"});
  EXPECT_THAT(open_error(), HasSubstr("labels reach 2, but dataset.json names 2 classes"));
}

TEST_F(DatasetTest, without_class_names_the_largest_label_counts_the_classes) {
  publish({});
  EXPECT_EQ(open().classes(), 3u);
  EXPECT_THAT(open().class_names(), IsEmpty());
}

TEST_F(DatasetTest, hash_depends_on_content_and_class_names_and_not_on_the_place) {
  publish();
  const std::string hash = open().hash();
  EXPECT_EQ(hash.size(), 16u);
  const test::TempDirectory other;
  for (const auto& entry : files_.list(directory_.path())) {
    write_text(other / entry.name, read_file(files_, directory_ / entry.name));
  }
  EXPECT_EQ(Dataset::open(other.path(), "train").hash(), hash);

  publish({"cat", "owl", "dog"});
  EXPECT_NE(open().hash(), hash);
  write_records(directory_ / shards_[1], {image_record("image c", {2, 1}, "c")});
  publish();
  EXPECT_NE(open().hash(), hash);
}

TEST_F(DatasetTest, the_manifest_comes_back_and_keeps_other_splits) {
  publish();
  schemas::DatasetManifest::Split val;
  val.set_name("val");
  val.set_records(7);
  val.set_seed(~std::uint64_t{0});
  replace_split(manifest_, val);
  val.set_records(8);
  replace_split(manifest_, val);
  write_manifest(files_, directory_.path(), manifest_);
  const auto read = read_manifest(files_, directory_.path());
  EXPECT_EQ(read.SerializeAsString(), manifest_.SerializeAsString());
  EXPECT_EQ(read.splits_size(), 2);
  EXPECT_EQ(find_split(read, "val")->records(), 8u);
  EXPECT_EQ(find_split(read, "test"), nullptr);
}

}  // namespace
}  // namespace bit::storage
