#include "pipeline/convert/webdataset.h"

#include "tests/unit/pipeline/tar_fixture.h"

namespace bit::pipeline {
namespace {

using test::deflate;
using test::TarWriter;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using Names = std::vector<std::string>;

class WebDatasetTars : public TarFixture {
 protected:
  std::vector<Seen> list_tar(const TarWriter& tar, WebDatasetOptions options = {}) {
    path_ = write("shard.tar", tar.finished());
    options.paths = {path_};
    return list_options(std::move(options));
  }
  std::vector<Seen> list_options(WebDatasetOptions options, LabelNames labels = {}) {
    WebDataset input(storage::posix_file_system(), std::move(options));
    return list(input, std::move(labels));
  }
  // Labels of a sample with one member besides its image; the reason where it cannot be used.
  Names labels_of(const std::string& extension, const std::string& content,
                  WebDatasetOptions options = {}) {
    TarWriter tar;
    tar.add("a.jpg", jpeg(1));
    tar.add("a." + extension, content);
    const auto seen = list_tar(tar, std::move(options));
    if (seen.empty()) return {problems_.at(path_ + ": a.jpg")};
    return seen.front().labels;
  }

  std::string path_;
};

TEST_F(WebDatasetTars, samples_are_members_of_one_name) {
  TarWriter tar;
  tar.add("./train/0001.cls", "3\n");
  tar.add("./train/0001.jpg", jpeg(1));
  tar.add("./train/0002.JPEG", jpeg(2));
  tar.add("./train/0002.txt", "a caption");
  tar.add("./train/0002.cls", "5");
  tar.add("v1.5/0003.PNG", jpeg(3));  // the dot of a folder is none of the name's
  tar.add("v1.5/0003.json", R"({"label": 0})");
  const std::vector<Seen> expected{{"train/0001", {"3"}, jpeg(1)},
                                   {"train/0002", {"5"}, jpeg(2)},
                                   {"v1.5/0003", {"0"}, jpeg(3)}};
  EXPECT_EQ(list_tar(tar), expected);
  EXPECT_THAT(problems_, IsEmpty());
  EXPECT_EQ(list_options({.paths = {write("shard.tar.gz", deflate(tar.finished()))}}), expected);
}

TEST_F(WebDatasetTars, several_shards_are_listed_in_their_order_by_any_number_of_threads) {
  std::vector<std::string> paths;
  std::vector<Seen> expected;
  for (std::uint32_t i = 0; i < 20; ++i) {
    TarWriter tar;
    const std::string key = "sample" + std::to_string(i);
    tar.add(key + ".jpg", jpeg(i));
    tar.add(key + ".cls", std::to_string(i));
    const std::string content = i % 3 == 0 ? deflate(tar.finished()) : tar.finished();
    paths.push_back(write("shard-" + std::to_string(i), content));
    expected.push_back({key, {std::to_string(i)}, jpeg(i)});
  }
  for (const unsigned threads : {1u, 4u}) {
    EXPECT_EQ(list_options({.paths = paths, .threads = threads}), expected);
  }
}

TEST_F(WebDatasetTars, cls_is_a_number_several_numbers_or_a_name) {
  EXPECT_EQ(labels_of("cls", " 12\r\n"), Names{"12"});
  EXPECT_EQ(labels_of("cls", "3 5,7,\n9"), (Names{"3", "5", "7", "9"}));
  EXPECT_EQ(labels_of("cls", "great white shark\n"), Names{"great white shark"});
  EXPECT_EQ(labels_of("CLS", "4"), Names{"4"});
  EXPECT_THAT(labels_of("cls", "-1"), ElementsAre(HasSubstr("labels start at 0")));
  EXPECT_THAT(labels_of("cls", " \n"), ElementsAre("a sample without a label"));
  EXPECT_EQ(labels_of("cls", "12", {.label_first = 1}), Names{"11"});
}

TEST_F(WebDatasetTars, json_has_a_number_a_text_or_a_list) {
  EXPECT_EQ(labels_of("json", R"({"label": 7})"), Names{"7"});
  EXPECT_EQ(labels_of("json", R"({"labels": [4, 2]})"), (Names{"2", "4"}));
  EXPECT_EQ(labels_of("json", R"({"class": "great white shark"})"), Names{"great white shark"});
  EXPECT_EQ(labels_of("json", R"({"cls": ["cat", "dog"]})"), (Names{"cat", "dog"}));
  EXPECT_EQ(labels_of("json", R"({"label": 1, "id": 8})", {.json_label = "id"}), Names{"8"});
  EXPECT_THAT(labels_of("json", R"({"label": 1})", {.json_label = "id"}),
              ElementsAre("a sample without a label"));
  EXPECT_THAT(labels_of("json", R"({"labels": []})"), ElementsAre("a sample without a label"));
}

TEST_F(WebDatasetTars, json_that_cannot_be_understood_is_a_problem_of_its_sample) {
  for (const std::string value : {"1.5", "true", "{}", "[[1]]"}) {
    EXPECT_THAT(labels_of("json", "{\"label\": " + value + "}"),
                ElementsAre(HasSubstr("neither a whole number nor text")))
        << value;
  }
  for (const std::string& text : {std::string("{\"label\": 1"), std::string("[1]"), std::string(),
                                  std::string(100'000, '['), std::string("\xFF\xFE")}) {
    EXPECT_THAT(labels_of("json", text), ElementsAre("its .json is not a JSON object"));
  }
  EXPECT_THAT(labels_of("json", "{}" + std::string(std::size_t{1} << 20, ' ')),
              ElementsAre("its .json is not a file of at most 1 MiB"));
  EXPECT_THAT(labels_of("json", R"({"label": 99999999999999999999})"),
              ElementsAre(HasSubstr("neither a whole number nor text")));
}

TEST_F(WebDatasetTars, cls_goes_before_json_unless_its_field_is_named_and_txt_must_be_asked_for) {
  TarWriter tar;
  tar.add("a.cls", "1");
  tar.add("a.jpg", jpeg(1));
  tar.add("a.json", R"({"label": 2})");
  tar.add("b.json", R"({"label": 2})");
  tar.add("b.cls", "1");
  tar.add("b.jpg", jpeg(1));
  const auto labels = [&](WebDatasetOptions options) {
    Names all;
    for (const Seen& seen : list_tar(tar, std::move(options))) {
      all.insert(all.end(), seen.labels.begin(), seen.labels.end());
    }
    return all;
  };
  EXPECT_EQ(labels({}), (Names{"1", "1"}));
  EXPECT_EQ(labels({.json_label = "label"}), (Names{"2", "2"}));
  EXPECT_THAT(labels_of("txt", "cat"), ElementsAre("a sample without a label"));
  EXPECT_EQ(labels_of("txt", "cat", {.text_labels = true}), Names{"cat"});
}

TEST_F(WebDatasetTars, extensions_of_two_parts_are_told_by_the_last) {
  TarWriter tar;
  tar.add("a.img.jpg", jpeg(1));
  tar.add("a.class.cls", "1");
  tar.add("b.depth.png", jpeg(2));
  tar.add("b.mask.png", jpeg(3));
  tar.add("b.jpg", jpeg(4));
  tar.add("b.small.jpg", jpeg(5));
  tar.add("b.cls", "2");
  const std::vector<Seen> expected{{"a", {"1"}, jpeg(1)}, {"b", {"2"}, jpeg(4)}};
  EXPECT_EQ(list_tar(tar), expected);
  EXPECT_EQ(list_options({.paths = {write("shard.tar.gz", deflate(tar.finished()))}}), expected);
}

TEST_F(WebDatasetTars, samples_that_cannot_be_used_are_problems) {
  TarWriter tar;
  tar.add("no_image.cls", "1");
  tar.add("no_label.jpg", jpeg(1));
  tar.add("two.jpg", jpeg(2));
  tar.add("two.png", jpeg(3));
  tar.add("two.cls", "1");
  tar.add("link.jpg", "", '2');
  tar.add("link.cls", "1");
  tar.add("unknown.jpg", jpeg(3));
  tar.add("unknown.cls", "9");
  tar.add("good.jpg", jpeg(4));
  tar.add("good.cls", "1");
  path_ = write("shard.tar", tar.finished());
  const auto seen =
      list_options({.paths = {path_}}, LabelNames(ClassList{{"cat", "dog"}, "classes.txt"}));
  EXPECT_THAT(seen, ElementsAre(Seen{"good", {"dog"}, jpeg(4)}));
  EXPECT_THAT(problems_,
              UnorderedElementsAre(
                  Pair(path_ + ": no_image", "a sample without an image"),
                  Pair(path_ + ": no_label.jpg", "a sample without a label"),
                  Pair(path_ + ": two.jpg", "a sample with another image: two.png"),
                  Pair(path_ + ": link", HasSubstr("a link")),
                  Pair(path_ + ": unknown.jpg", "label 9, but classes.txt has 2 classes")));
}

TEST_F(WebDatasetTars, members_that_belong_to_no_sample_are_left_out) {
  TarWriter tar;
  tar.add("folder.with.dots/", "", '5');
  tar.add("README", "words");
  tar.add("__meta__.json", R"({"label": 3})");
  tar.add("._a.jpg", "macOS");
  tar.add("a.jpg", jpeg(1));
  tar.add("a.cls", "1");
  EXPECT_THAT(list_tar(tar), ElementsAre(Seen{"a", {"1"}, jpeg(1)}));
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(WebDatasetTars, damaged_or_cut_are_an_error_naming_file_and_byte) {
  TarWriter tar;
  tar.add("a.jpg", jpeg(1));
  tar.add("a.cls", "1");
  const std::string cut = write("cut.tar", tar.bytes().substr(0, 600));
  EXPECT_THAT(failure([&] { list_options({.paths = {cut}}); }),
              HasSubstr(cut + ": at byte 0: the file ends inside a member"));
}

TEST_F(WebDatasetTars, are_known_by_an_image_and_its_label) {
  const auto looks = [&](const std::string& content) {
    return looks_like_webdataset(storage::posix_file_system(), write("peeked", content));
  };
  TarWriter json;
  json.add("a.json", "{}");
  json.add("a.jpg", jpeg(1));
  EXPECT_TRUE(looks(json.finished()));
  EXPECT_TRUE(looks(deflate(json.finished())));
  TarWriter images;
  images.add("n01/a.jpg", jpeg(1));
  images.add("n01/b.json", "{}");
  EXPECT_FALSE(looks(images.finished()));
  EXPECT_FALSE(looks("path,label\na.jpg,1\n"));
  EXPECT_FALSE(looks(""));
}

}  // namespace
}  // namespace bit::pipeline
