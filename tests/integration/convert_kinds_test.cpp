// Every kind of input through bit-shard convert, in miniature: which records come out, with which
// labels and pixels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "pipeline/jpeg.h"
#include "schemas/example.pb.h"
#include "storage/example.h"
#include "storage/file.h"
#include "storage/tfrecord.h"
#include "tests/integration/convert_support.h"
#include "tests/integration/run_support.h"
#include "tests/support/gzip_writer.h"
#include "tests/support/jpeg_writer.h"
#include "tests/support/tar_writer.h"

namespace bit::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Bytes = std::vector<std::byte>;
using Labels = std::map<std::string, std::vector<std::string>>;  // of each key
using Words = std::vector<std::string>;

// A JPEG of its own for each seed.
Bytes photo(std::uint32_t seed) {
  return write_jpeg(test_picture(24, 16, 3, seed), 24, 16, {.horizontal = 2, .vertical = 2});
}
std::string text_of(const Bytes& bytes) { return std::string(as_text(bytes)); }

pipeline::RgbImage decode(std::span<const std::byte> jpeg) {
  pipeline::JpegDecoder decoder;
  decoder.open(jpeg);
  return decoder.decode_full();
}

// Inputs lie in in/, files beside them in the test's directory.
class ConvertKinds : public testing::Test {
 protected:
  std::string in(const std::string& name) const { return directory_ / ("in/" + name); }
  void put(const std::string& name, std::string_view bytes) const { write_file(in(name), bytes); }
  void put(const std::string& name, const Bytes& bytes) const { write_file(in(name), bytes); }

  // Converts `input` and returns the labels of the keys of what comes out.
  Labels labels_of(const std::string& input, const Words& more = {}) {
    output_ = directory_ / ("data-" + std::to_string(outputs_++));
    const auto result = ConvertCommand{input, output_, more}.go();
    EXPECT_EQ(result.exit_code, 0) << input << "\n" << result.err;
    Labels labels;
    if (result.exit_code != 0) return labels;
    for (auto& [key, record] : records_in(output_)) labels[key] = record.labels;
    const auto verified =
        run_process({BIT_BIN_DIRECTORY "/bit-shard", "verify", output_, "--decode"});
    EXPECT_EQ(verified.exit_code, 0) << input << "\n" << verified.out;
    return labels;
  }

  TempDirectory directory_;
  std::string output_;  // of the last labels_of()
  int outputs_ = 0;
};

TEST_F(ConvertKinds, class_folders) {
  put("cat/1.jpg", photo(1));
  put("cat/2.jpg", photo(2));
  put("dog/1.jpg", photo(3));
  put("cat/.hidden", "");
  put("dog/Thumbs.db", "");
  EXPECT_EQ(labels_of(directory_ / "in"),
            (Labels{{"cat/1.jpg", {"cat"}}, {"cat/2.jpg", {"cat"}}, {"dog/1.jpg", {"dog"}}}));
}

TEST_F(ConvertKinds, lists_of_all_formats_with_several_labels) {
  put("pictures/1.jpg", photo(1));
  put("pictures/2.jpg", photo(2));
  put("list.csv", "path,labels,key\npictures/1.jpg,dog;cat,one\n\"pictures/2.jpg\",dog,two\n");
  put("list.tsv", "path\tlabels\tkey\npictures/1.jpg\tcat|dog\tone\npictures/2.jpg\tdog\ttwo\n");
  put("list.jsonl",
      "{\"path\": \"pictures/1.jpg\", \"labels\": [\"cat\", \"dog\"], \"key\": \"one\"}\n"
      "{\"path\": \"pictures/2.jpg\", \"label\": \"dog\", \"key\": \"two\"}\n");
  put("list.csv.gz", deflate(file_bytes(in("list.csv"))));
  for (const char* name : {"list.csv", "list.tsv", "list.jsonl", "list.csv.gz"}) {
    Words more;
    if (name == std::string("list.csv.gz")) more = {"--format", "list"};
    EXPECT_EQ(labels_of(in(name), more), (Labels{{"one", {"cat", "dog"}}, {"two", {"dog"}}}))
        << name;
  }
  put("train.txt", "pictures/1.jpg 4\npictures/2.jpg 2\n");
  EXPECT_EQ(labels_of(in("train.txt")),
            (Labels{{"pictures/1.jpg", {"4"}}, {"pictures/2.jpg", {"2"}}}));
}

TEST_F(ConvertKinds, lists_with_wordnet_ids_take_the_labels_of_the_class_list) {
  put("1.jpg", photo(1));
  put("2.jpg", photo(2));
  put("list.csv", "path,label\n1.jpg,n02\n2.jpg,n01\n");
  put("list2.csv", "path,label\n1.jpg,n02000000\n2.jpg,n01000000;n02000000\n");
  write_file(directory_ / "classes.txt", std::string("n02000000 cat, moggy\nn01000000 dog\n"));
  EXPECT_EQ(
      labels_of(in("list2.csv"), {"--classes", directory_ / "classes.txt"}),
      (Labels{{"1.jpg", {"n02000000"}}, {"2.jpg", {"n02000000", "n01000000"}}}));  // 0; 0 and 1
  const auto unknown =
      ConvertCommand{
          in("list.csv"), directory_ / "unknown", {"--classes", directory_ / "classes.txt"}}
          .go();
  EXPECT_EQ(unknown.exit_code, 65);
  EXPECT_THAT(unknown.out + unknown.err, HasSubstr("n02"));
}

std::string tar_of(const std::vector<std::pair<std::string, std::string>>& members) {
  TarWriter tar;
  for (const auto& [name, bytes] : members) tar.add(name, bytes);
  return tar.finished();
}

TEST_F(ConvertKinds, tars_of_classes_as_they_are_downloaded) {
  const auto cats = tar_of({{"n02_1.JPEG", text_of(photo(1))}, {"n02_2.JPEG", text_of(photo(2))}});
  const auto dogs = tar_of({{"n01_1.JPEG", text_of(photo(3))}});
  const auto both = tar_of({{"n02.tar", cats}, {"n01.tar", dogs}});
  put("ILSVRC2012_img_train.tar", both);
  put("train.tar.gz", deflate(both));
  put("winter21/n02.tar", cats);
  put("winter21/n01.tar", dogs);
  put("gz/n02.tar.gz", deflate(cats));
  put("gz/n01.tgz", deflate(dogs));
  const Labels expected = {
      {"n01/n01_1.JPEG", {"n01"}}, {"n02/n02_1.JPEG", {"n02"}}, {"n02/n02_2.JPEG", {"n02"}}};
  for (const char* name :
       {"ILSVRC2012_img_train.tar", "train.tar.gz", "winter21", "winter21/*.tar", "gz"}) {
    EXPECT_EQ(labels_of(in(name)), expected) << name;
    EXPECT_EQ(decode(records_in(output_).at("n01/n01_1.JPEG").image).pixels,
              decode(photo(3)).pixels)
        << name;
  }
}

TEST_F(ConvertKinds, a_validation_tar_with_numbers_or_ids_as_labels) {
  put("val.tar", tar_of({{"val_2.JPEG", text_of(photo(2))},
                         {"val_1.JPEG", text_of(photo(1))},
                         {"val_3.JPEG", text_of(photo(3))}}));
  const std::string truth = directory_ / "ILSVRC2012_validation_ground_truth.txt";
  const std::string names = directory_ / "ids.txt", classes = directory_ / "classes.txt";
  write_file(truth, std::string("2\n1\n2\n"));
  write_file(names, std::string("n09000000\nn01000000\n"));
  write_file(classes, std::string("n01000000 first\nn09000000 second\n"));
  EXPECT_EQ(labels_of(in("val.tar"), {"--labels", truth, "--label-first", "1"}),
            (Labels{{"val_1.JPEG", {"1"}}, {"val_2.JPEG", {"0"}}, {"val_3.JPEG", {"1"}}}));
  EXPECT_EQ(labels_of(in("val.tar"), {"--labels", truth, "--label-first", "1", "--label-names",
                                      names, "--classes", classes}),
            (Labels{{"val_1.JPEG", {"n01000000"}},
                    {"val_2.JPEG", {"n09000000"}},
                    {"val_3.JPEG", {"n01000000"}}}));
}

TEST_F(ConvertKinds, webdataset_tars_by_brace_and_folder) {
  put("wds/s-000.tar", tar_of({{"a.jpg", text_of(photo(1))},
                               {"a.cls", "1"},
                               {"b.jpg", text_of(photo(2))},
                               {"b.cls", "0 2"}}));
  put("wds/s-001.tar", tar_of({{"c.json", "{\"label\": [2, 1]}"}, {"c.jpg", text_of(photo(3))}}));
  const Labels expected = {{"a", {"1"}}, {"b", {"0", "2"}}, {"c", {"1", "2"}}};
  EXPECT_EQ(labels_of(in("wds")), expected);
  EXPECT_EQ(labels_of(in("wds/s-{000..001}.tar")), expected);
}

// As TensorFlow Datasets writes it.
std::string tfds_record(const Bytes& image, std::int64_t label, const std::string& file_name) {
  schemas::Example example;
  auto& features = *example.mutable_features()->mutable_feature();
  features["image"].mutable_bytes_list()->add_value(text_of(image));
  features["label"].mutable_int64_list()->add_value(label);
  features["file_name"].mutable_bytes_list()->add_value(file_name);
  return example.SerializeAsString();
}
// As tensorflow/models does: labels from 1.
std::string models_record(const Bytes& image, const std::vector<std::int64_t>& labels,
                          const std::string& file_name) {
  schemas::Example example;
  auto& features = *example.mutable_features()->mutable_feature();
  features["image/encoded"].mutable_bytes_list()->add_value(text_of(image));
  for (const auto label : labels) {
    features["image/class/label"].mutable_int64_list()->add_value(label);
  }
  features["image/filename"].mutable_bytes_list()->add_value(file_name);
  return example.SerializeAsString();
}

class ConvertTfrecords : public ConvertKinds {
 protected:
  std::string framed(const Words& records) const {
    const std::string path = directory_ / "framed";
    const auto file = storage::posix_file_system().create(path);
    storage::RecordWriter writer(*file);
    for (const auto& record : records) writer.append(std::as_bytes(std::span(record)));
    file->close();
    return file_bytes(path);
  }
};

TEST_F(ConvertTfrecords, of_both_conventions_plain_and_compressed) {
  const auto models =
      framed({models_record(photo(1), {3, 1}, "a"), models_record(photo(2), {2}, "b")});
  const auto tfds = framed({tfds_record(photo(3), 0, "c"), tfds_record(photo(4), 2, "d")});
  put("plain/x-00000-of-00002", models);
  put("plain/x-00001-of-00002", tfds);
  put("packed/x.tfrecord-00000-of-00002", deflate(models));
  put("packed/x.tfrecord-00001-of-00002", deflate(tfds));
  const Labels expected = {{"a", {"0", "2"}}, {"b", {"1"}}, {"c", {"0"}}, {"d", {"2"}}};
  for (const char* name : {"plain", "packed", "plain/x-*", "packed/x.tfrecord@2"}) {
    EXPECT_EQ(labels_of(in(name)), expected) << name;
    EXPECT_EQ(decode(records_in(output_).at("c").image).pixels, decode(photo(3)).pixels) << name;
  }
  fs::remove(in("plain/x-00001-of-00002"));
  const auto missing = ConvertCommand{in("plain"), directory_ / "missing"}.go();
  EXPECT_EQ(missing.exit_code, 65);
  EXPECT_THAT(missing.err, HasSubstr(in("plain/x-00001-of-00002")));
}

TEST_F(ConvertTfrecords, in_a_directory_of_tensorflow_datasets) {
  put("pets/dataset_info.json",
      "{\"name\": \"pets\", \"version\": \"1.0.0\", \"fileFormat\": \"tfrecord\", \"splits\": "
      "[{\"name\": \"train\", \"shardLengths\": [\"2\", \"1\"], \"filepathTemplate\": "
      "\"{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}\"}]}");
  put("pets/features.json", "{}");
  put("pets/label.labels.txt", "dog\ncat\n");
  put("pets/pets-train.tfrecord-00000-of-00002",
      framed({tfds_record(photo(1), 0, "1.jpg"), tfds_record(photo(2), 1, "2.jpg")}));
  put("pets/pets-train.tfrecord-00001-of-00002", framed({tfds_record(photo(3), 1, "3.jpg")}));
  EXPECT_EQ(labels_of(in("pets")),
            (Labels{{"1.jpg", {"dog"}}, {"2.jpg", {"cat"}}, {"3.jpg", {"cat"}}}));
}

TEST_F(ConvertTfrecords, in_a_dataset_of_our_own_that_is_sharded_anew) {
  for (std::uint32_t i = 0; i < 7; ++i) {
    put((i % 2 == 0 ? "cat/" : "dog/") + std::to_string(i) + ".jpg", photo(i + 1));
  }
  const Labels labels = labels_of(directory_ / "in");
  ASSERT_EQ(labels.size(), 7u);
  const std::string first = output_;
  EXPECT_EQ(labels_of(first, {"--shards", "3", "--seed", "9"}), labels);
  for (const auto& [key, record] : records_in(output_)) {
    EXPECT_EQ(record.image, records_in(first).at(key).image) << key;
  }
}

}  // namespace
}  // namespace bit::test
