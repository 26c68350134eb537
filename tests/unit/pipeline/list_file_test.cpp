// Lists as they are found: what they say, and what is wrong with them.
#include "pipeline/convert/list_file.h"

#include "tests/unit/pipeline/listing_fixture.h"

namespace bit::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ListFileTest : public ListingTest {
 protected:
  Listing listed(const std::string& name, const std::string& content, ListFileOptions options = {},
                 LabelNames labels = {}) {
    options.path = write(name, content);
    ListFile input(files_, options);
    return list(input, std::move(labels));
  }
  std::vector<std::string> images_of(const std::string& name, const std::string& content,
                                     ListFileOptions options = {}) {
    const Listing listing = listed(name, content, std::move(options));
    EXPECT_THAT(problems(listing), IsEmpty());
    return images(listing);
  }
  std::vector<std::string> problems_of(const std::string& name, const std::string& content,
                                       ListFileOptions options = {}) {
    return problems(listed(name, content, std::move(options)));
  }
  std::string refusal(const std::string& name, const std::string& content,
                      ListFileOptions options = {}) {
    return below(
        what_is_thrown<storage::DataError>([&] { listed(name, content, std::move(options)); }));
  }
};

TEST_F(ListFileTest, without_names_is_path_labels_key) {
  EXPECT_THAT(images_of("a.csv", "x/1.jpg,3\nx/2.jpg,0,second\n"),
              ElementsAre("x/1.jpg -> 3", "x/2.jpg key=second -> 0"));
  EXPECT_THAT(images_of("a.tsv", "x 1.jpg\t3\nx,2.jpg\t0\tsecond"),
              ElementsAre("x 1.jpg -> 3", "x,2.jpg key=second -> 0"));
  EXPECT_THAT(images_of("a.TXT", "x 1.jpg\t3\n\"x.jpg\t0\tsecond"),
              ElementsAre("x 1.jpg -> 3", "\"x.jpg key=second -> 0"));
}

TEST_F(ListFileTest, as_caffe_writes_it_is_a_path_and_the_numbers_behind_it) {
  EXPECT_THAT(images_of("a.txt",
                        "x/1.jpg 3\n"
                        "my image 2.jpg 4\n"
                        "many.jpg 7  5 9 \r\n"
                        "\n"
                        "no numbers.jpg 12\n"),
              ElementsAre("x/1.jpg -> 3", "my image 2.jpg -> 4", "many.jpg -> 5 7 9",
                          "no numbers.jpg -> 12"));
  EXPECT_THAT(images_of("b.txt", "path label\n1.jpg n01440764\na b.jpg n00000001\n"),
              ElementsAre("1.jpg -> 1", "a b.jpg -> 0"));
  EXPECT_EQ(refusal("c.txt", "1.jpg 3\n2.jpg\n"), "c.txt:2: 1 cell, where path and labels need 2");
}

TEST_F(ListFileTest, finds_its_columns_by_their_usual_names) {
  EXPECT_THAT(images_of("a.csv", "\xEF\xBB\xBFlabel,width,file_name,id\r\n5,640,1.jpg,one\r\n"),
              ElementsAre("1.jpg key=one -> 5"));
  EXPECT_THAT(images_of("a.tsv", "Image\tTarget\n1.jpg\t5\n"), ElementsAre("1.jpg -> 5"));
  EXPECT_EQ(
      refusal("b.csv", "id,label\n1,2\n"),
      "b.csv:1: no column is known to be the path: say which with --column; the first line is "
      "`id`, `label`");
  EXPECT_EQ(refusal("c.csv", "path,label,class\n1.jpg,2,cat\n"),
            "c.csv:1: `label`, `class` could both be the labels: say which with --column");
}

TEST_F(ListFileTest, takes_the_columns_that_are_given) {
  ListFileOptions by_name;
  by_name.columns = {{"path", "photo"}, {"label", "animal"}};
  EXPECT_THAT(images_of("a.csv", "animal,path,photo\ncat,wrong.jpg,1.jpg\n", by_name),
              ElementsAre("1.jpg -> 0"));
  EXPECT_EQ(refusal("b.csv", "a,b\n1,2\n", by_name),
            "b.csv:1: no column `animal`: the first line is `a`, `b`");
  ListFileOptions by_number;
  by_number.columns = {{"path", "4"}, {"labels", "2"}};
  EXPECT_THAT(images_of("c.csv", "x,7,y,1.jpg,z\n", by_number), ElementsAre("1.jpg -> 7"));
  by_number.header = true;
  EXPECT_THAT(images_of("d.csv", "i,t,u,p\nx,7,y,1.jpg\n", by_number), ElementsAre("1.jpg -> 7"));
  ListFileOptions wrong;
  wrong.columns = {{"size", "1"}};
  EXPECT_THAT(refusal("e.csv", "1.jpg,2\n", wrong), HasSubstr("no `size` is read from a list"));
  EXPECT_THAT(refusal("e.jsonl", "{}\n", wrong), HasSubstr("no `size` is read from a list"));
}

TEST_F(ListFileTest, may_begin_with_what_only_looks_like_names) {
  ListFileOptions options;
  options.header = false;
  EXPECT_THAT(images_of("a.csv", "image,label\n1.jpg,cat\n", options),
              ElementsAre("image -> 1", "1.jpg -> 0"));
}

TEST_F(ListFileTest, may_have_several_labels_in_a_cell) {
  EXPECT_THAT(images_of("a.csv", "1.jpg,3;1| 2;;3\n2.jpg,5 4\n3.jpg, 7\n"),
              ElementsAre("1.jpg -> 1 2 3", "2.jpg -> 4 5", "3.jpg -> 7"));
  const Listing names = listed("b.csv", "1.jpg,tiger shark;crane\n2.jpg,n00000002 n00000001\n");
  EXPECT_THAT(names.class_names(), ElementsAre("crane", "n00000001", "n00000002", "tiger shark"));
  EXPECT_THAT(images(names), ElementsAre("1.jpg -> 0 3", "2.jpg -> 1 2"));
  ListFileOptions options;
  options.label_separator = " / ";
  const Listing separated = listed("c.csv", "1.jpg,a;b / c|d / e\n", options);
  EXPECT_THAT(separated.class_names(), ElementsAre("a;b", "c|d", "e"));
}

TEST_F(ListFileTest, joins_rows_of_the_same_path_that_follow_each_other) {
  // As Open Images has it: a row a label, verified to be there (1) or not (0).
  ListFileOptions options;
  options.path_prefix = "train/";
  options.path_suffix = ".jpg";
  const Listing listing = listed("a.csv",
                                 "ImageID,Source,LabelName,Confidence\n"
                                 "000a,verification,/m/01,1\n"
                                 "000a,verification,/m/02,0\n"
                                 "000a,verification,/m/03,1.0\n"
                                 "000b,verification,/m/03,0\n"
                                 "000c,verification,/m/03,0.7\n"
                                 "000a,verification,/m/01,1\n",
                                 options);
  EXPECT_THAT(problems(listing), IsEmpty());
  EXPECT_THAT(listing.class_names(), ElementsAre("/m/01", "/m/03"));
  EXPECT_THAT(images(listing),
              ElementsAre("train/000a.jpg key=000a -> 0 1", "train/000c.jpg key=000c -> 1",
                          "train/000a.jpg key=000a -> 0"));
}

TEST_F(ListFileTest, of_json_lines_is_an_object_an_image) {
  const Listing listing = listed(
      "a.jsonl",
      "{\"path\": \"1.jpg\", \"label\": \"cat\"}\n"
      "\r\n"
      "{\"labels\": [\"dog\", \"cat;dog\"], \"extra\": {\"path\": [1, {}]}, \"key\": 17, "
      "\"file_name\": \"\\u00fc.jpg\"}\r\n"
      "{\"image\": \"/far/3.jpg\", \"label\": [\"cat\"], \"confidence\": 0}\n"
      "{\"image\": \"/far/4.jpg\", \"label\": [\"cat\"], \"confidence\": 0.5, \"key\": null}");
  EXPECT_THAT(problems(listing), IsEmpty());
  EXPECT_THAT(listing.class_names(), ElementsAre("cat", "cat;dog", "dog"));
  EXPECT_THAT(images(listing),
              ElementsAre("1.jpg -> 0", "\xC3\xBC.jpg key=17 -> 1 2", "/far/4.jpg -> 0"));
  EXPECT_THAT(images_of("b.ndjson", "{\"path\": \"1.jpg\", \"labels\": [4, 0, 4]}\n"),
              ElementsAre("1.jpg -> 0 4"));
  ListFileOptions options;
  options.columns = {{"labels", "tags"}};
  options.label_separator = ",";
  EXPECT_THAT(
      images_of("c.jsonl", "{\"path\": \"1.jpg\", \"label\": 9, \"tags\": \"2,1\"}\n", options),
      ElementsAre("1.jpg -> 1 2"));
}

TEST_F(ListFileTest, of_json_lines_names_the_line_that_is_no_object) {
  for (const char* line : {"x", "[]", "3", "{\"path\": \"1.jpg\"", "{\"path\": \"1.jpg\"} {}",
                           "{\"path\": \"\xFF.jpg\"}", "\"path\""}) {
    EXPECT_EQ(refusal("a.jsonl", "{\"path\": \"1.jpg\", \"label\": 1}\n" + std::string(line)),
              "a.jsonl:2: not a JSON object")
        << line;
  }
  EXPECT_EQ(refusal("a.jsonl", "{\"label\": 1}"), "a.jsonl:1: no path in the object");
  EXPECT_EQ(refusal("a.jsonl", "{\"path\": 1}"), "a.jsonl:1: path: not text");
  EXPECT_EQ(refusal("a.jsonl", "{\"path\": {\"label\": 1}}"), "a.jsonl:1: path: an object");
  EXPECT_EQ(refusal("a.jsonl", "{\"labels\": [[1]]}"), "a.jsonl:1: labels: a list of lists");
  EXPECT_EQ(refusal("a.jsonl", "{\"path\": \"1\", \"path\": \"2\"}"),
            "a.jsonl:1: `path` is there twice");
  EXPECT_THAT(refusal("a.jsonl", "{\"label\": 1, \"class\": 2}"),
              HasSubstr("a.jsonl:1: `label` and `class` could both be the labels"));
  EXPECT_EQ(refusal("a.jsonl", std::string(100'000, '[')), "a.jsonl:1: not a JSON object");
}

TEST_F(ListFileTest, finds_images_below_the_root_or_where_the_path_says) {
  ListFileOptions options;
  options.root = directory_ / "images";
  files_.make_directories(options.root);
  EXPECT_THAT(images_of("lists/a.csv", "1.jpg,0\n/far/2.jpg,1\n", options),
              ElementsAre("images/1.jpg key=1.jpg -> 0", "/far/2.jpg -> 1"));
  EXPECT_THAT(images_of("lists/a.csv", "1.jpg,0\n"), ElementsAre("lists/1.jpg key=1.jpg -> 0"));
}

TEST_F(ListFileTest, takes_labels_of_a_class_list_and_from_a_first_number) {
  const std::string text = "1.jpg,cat\n2.jpg,2\n3.jpg,bird\n4.jpg,0\n5.jpg,3\n6.jpg,dog;cow\n";
  ListFileOptions options;
  options.label_first = 1;
  const Listing listing =
      listed("a.csv", text, options, LabelNames(ClassList{{"dog", "cat"}, "classes.txt"}));
  EXPECT_THAT(listing.class_names(), ElementsAre("dog", "cat"));
  EXPECT_THAT(images(listing), ElementsAre("1.jpg -> 1", "2.jpg -> 1"));
  EXPECT_THAT(problems(listing),
              ElementsAre("3.jpg | a.csv:3: class `bird` is not in classes.txt",
                          "4.jpg | a.csv:4: label 0, but labels start at 1",
                          "5.jpg | a.csv:5: label 3, but classes.txt has 2 classes",
                          "6.jpg | a.csv:6: class `cow` is not in classes.txt"));
}

TEST_F(ListFileTest, tells_what_is_wrong_with_an_image_and_goes_on) {
  const std::string long_name(1'000'000, 'x');
  const Listing listing =
      listed("a.csv",
             "path,label,confidence\n"
             "0.jpg,1,1\n"
             "1.jpg,,1\n"
             "2.jpg,1,certain\n"
             "3.jpg,cat,1\n"
             "3.jpg,4,1\n" +
                 long_name + ",1,1\n" + std::string("5\0.jpg,1,1\n", 11) + "6.jpg,1," + "\n");
  EXPECT_THAT(images(listing), ElementsAre("0.jpg -> 1", "6.jpg -> 1"));
  const auto found = problems(listing);
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(found[0], "1.jpg | a.csv:3: no label");
  EXPECT_EQ(found[1], "2.jpg | a.csv:4: confidence `certain` is not a number");
  EXPECT_EQ(found[2], "3.jpg | a.csv:5: name `cat` among numbers");
  EXPECT_THAT(found[3], HasSubstr("x | a.csv:7: a path or key of more than 4096 bytes"));
  EXPECT_LT(found[3].size(), 5000u);
  EXPECT_THAT(found[4], HasSubstr("a.csv:8: a zero byte in the path"));
  EXPECT_THAT(problems_of("b.jsonl",
                          "{\"path\": \"1.jpg\", \"label\": 1.5}\n"
                          "{\"path\": \"2.jpg\", \"label\": true}\n"
                          "{\"path\": \"3.jpg\", \"label\": null}\n"
                          "{\"path\": \"4.jpg\", \"label\": 4, \"confidence\": \"high\"}\n"
                          "{\"path\": \"5.jpg\", \"label\": -1}\n"
                          "{\"path\": \"6.jpg\"}\n"),
              ElementsAre("1.jpg | b.jsonl:1: labels: `1.5` is neither a name nor a whole number",
                          "2.jpg | b.jsonl:2: labels: `true` is neither a name nor a whole number",
                          "3.jpg | b.jsonl:3: no label",
                          "4.jpg | b.jsonl:4: confidence: `high` is not a number",
                          "5.jpg | b.jsonl:5: label -1, but labels start at 0",
                          "6.jpg | b.jsonl:6: no label"));
}

TEST_F(ListFileTest, that_is_broken_is_refused_with_the_line) {
  EXPECT_EQ(refusal("a.csv", "1.jpg,1\n\"2.jpg,1\n"), "a.csv:2: a quote that is not closed");
  EXPECT_EQ(refusal("a.csv", "1.jpg,1\n2.jpg\n"), "a.csv:2: 1 cell, where path and labels need 2");
  EXPECT_EQ(refusal("a.csv", "path,label\n1.jpg,1\n2,3.jpg,1\n"),
            "a.csv:3: 3 cells, where the first line names 2");
  EXPECT_EQ(refusal("a.csv", "1.jpg,1,2,3\n"),
            "a.csv:1: 4 cells and no line that names them: say which is what with --column");
  EXPECT_EQ(refusal("a.csv", "1.jpg,1\n,2\n"), "a.csv:2: no path");
  EXPECT_EQ(refusal("a.csv", "\n\n"), "a.csv: no images in the list");
  EXPECT_EQ(refusal("a.csv", "path,label\n"), "a.csv: no images in the list");
  EXPECT_THAT(refusal("a.xls", "1.jpg,1\n"), HasSubstr("a.xls: a list of images ends in .csv"));
  ListFileOptions missing;
  missing.path = directory_ / "missing.csv";
  EXPECT_THAT(what_is_thrown<storage::StorageError>([&] {
                ListFile input(files_, missing);
                list(input);
              }),
              HasSubstr("missing.csv"));
}

// The samples that the fuzz target runs over too.
TEST_F(ListFileTest, of_the_samples_is_used_or_not_as_its_name_says) {
  int samples = 0;
  for (const auto& sample : files_.list(BIT_SOURCE_DIR "/tests/data/list_file")) {
    ListFileOptions options;
    options.path = BIT_SOURCE_DIR "/tests/data/list_file/" + sample.name;
    if (sample.name == "good_tabs.tsv") options.columns = {{"path", "photo"}};
    ListFile input(files_, options);
    bool good = false;
    try {
      good = problems(list(input)).empty();
    } catch (const storage::DataError&) {
    }
    EXPECT_EQ(good, sample.name.starts_with("good_")) << sample.name;
    ++samples;
  }
  EXPECT_EQ(samples, 25);
}

}  // namespace
}  // namespace bit::pipeline
