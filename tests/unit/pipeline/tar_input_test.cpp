#include "pipeline/convert/tar_input.h"

#include "tests/support/process.h"
#include "tests/unit/pipeline/tar_fixture.h"

namespace bit::pipeline {
namespace {

using test::deflate;
using test::TarWriter;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using Names = std::vector<std::string>;

class Tars : public TarFixture {
 protected:
  TarInput open(TarInputOptions options) {
    return TarInput(storage::posix_file_system(), std::move(options));
  }
  TarInput open_one(const std::string& path) { return open(TarInputOptions{.paths = {path}}); }

  // Two classes of two images and one; keys and bytes as all layouts but the last have them.
  static std::string cats() {
    TarWriter tar;
    tar.add("n02_1.JPEG", jpeg(1));
    tar.add("n02_2.JPEG", jpeg(2));
    return tar.finished();
  }
  static std::string dogs() {
    TarWriter tar;
    tar.add("n01_1.JPEG", jpeg(3));
    return tar.finished();
  }
  static std::vector<Seen> cats_then_dogs() {
    return {{"n02/n02_1.JPEG", {"n02"}, jpeg(1)},
            {"n02/n02_2.JPEG", {"n02"}, jpeg(2)},
            {"n01/n01_1.JPEG", {"n01"}, jpeg(3)}};
  }
  static std::string tar_of_tars() {
    TarWriter outer;
    outer.add("n02.tar", cats());
    outer.add("n01.tar", dogs());
    return outer.finished();
  }
  static std::string validation_tar() {  // not in the order of names
    TarWriter tar;
    tar.add("val_3.JPEG", jpeg(3));
    tar.add("val_1.JPEG", jpeg(1));
    tar.add("val_2.JPEG", jpeg(2));
    return tar.finished();
  }
};

TEST_F(Tars, in_a_tar_are_classes_and_are_read_in_place) {
  TarInput input = open_one(write("train.tar", tar_of_tars()));
  EXPECT_EQ(input.kind(), "tar of tars");
  EXPECT_EQ(list(input), cats_then_dogs());
  EXPECT_THAT(class_names_, ElementsAre("n01", "n02"));
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(Tars, in_a_compressed_tar_are_read_in_sequence) {
  TarInput input = open_one(write("whole.tar.gz", deflate(tar_of_tars())));
  EXPECT_EQ(input.kind(), "tar of tars");
  EXPECT_EQ(list(input), cats_then_dogs());
}

TEST_F(Tars, one_per_class_in_a_folder_compressed_or_not) {
  write("in/n02.tar", cats());
  write("in/n01.tgz", deflate(dogs()));
  write("in/README", "not a tar");
  for (const unsigned threads : {1u, 3u}) {
    TarInput input = open({.paths = {directory_ / "in"}, .threads = threads});
    EXPECT_EQ(input.kind(), "one tar per class");
    const auto expected = cats_then_dogs();
    EXPECT_THAT(list(input), ElementsAre(expected[2], expected[0], expected[1]));
  }
}

TEST_F(Tars, given_one_by_one_keep_their_order) {
  TarInput input =
      open({.paths = {write("n02.tar", cats()), write("n01.tar.gz", deflate(dogs()))}});
  EXPECT_EQ(list(input), cats_then_dogs());
}

TEST_F(Tars, with_class_folders_take_the_folder_of_the_image) {
  TarWriter tar;
  tar.add("./train/", "", '5');
  tar.add("./train/cat/", "", '5');
  tar.add("./train/cat/1.jpg", jpeg(1));
  tar.add("./train/dog/1.png", jpeg(2));
  tar.add("./train/cat/2.jpg", jpeg(3));
  for (const std::string& content : {tar.finished(), deflate(tar.finished())}) {
    TarInput input = open_one(write("images.tar", content));
    EXPECT_EQ(input.kind(), "tar of class folders");
    EXPECT_THAT(list(input), ElementsAre(Seen{"train/cat/1.jpg", {"cat"}, jpeg(1)},
                                         Seen{"train/dog/1.png", {"dog"}, jpeg(2)},
                                         Seen{"train/cat/2.jpg", {"cat"}, jpeg(3)}));
    EXPECT_THAT(problems_, IsEmpty());
  }
}

TEST_F(Tars, with_a_list_of_labels_give_line_i_to_the_image_that_is_i_th_by_name) {
  for (const std::string& content : {validation_tar(), deflate(validation_tar())}) {
    TarInput input = open({.paths = {write("val.tar", content)},
                           .labels_file = write("truth.txt", "490\r\n361\n 1 \n\n"),
                           .label_first = 1});
    EXPECT_EQ(input.kind(), "tar with a list of labels");
    EXPECT_THAT(list(input), ElementsAre(Seen{"val_1.JPEG", {"489"}, jpeg(1)},
                                         Seen{"val_2.JPEG", {"360"}, jpeg(2)},
                                         Seen{"val_3.JPEG", {"0"}, jpeg(3)}));
    EXPECT_THAT(class_names_, IsEmpty());
  }
}

TEST_F(Tars, with_a_list_of_labels_take_names_and_numbers_that_a_list_names) {
  const std::string tar = write("val.tar", validation_tar());
  TarInput names = open({.paths = {tar}, .labels_file = write("names.txt", "cat\ndog\ncat")});
  EXPECT_THAT(list(names), ElementsAre(Seen{"val_1.JPEG", {"cat"}, jpeg(1)},
                                       Seen{"val_2.JPEG", {"dog"}, jpeg(2)},
                                       Seen{"val_3.JPEG", {"cat"}, jpeg(3)}));
  TarInput numbers = open({.paths = {tar},
                           .labels_file = write("numbers.txt", "2\n1\n2\n"),
                           .label_first = 1,
                           .label_names_file = write("ids.txt", "n09999999 a z\nn00000001\n")});
  // The class list of the data set, in another order, gives the labels.
  EXPECT_THAT(list(numbers, LabelNames(ClassList{{"n00000001", "n09999999"}, "list"})),
              ElementsAre(Seen{"val_1.JPEG", {"n00000001"}, jpeg(1)},
                          Seen{"val_2.JPEG", {"n09999999"}, jpeg(2)},
                          Seen{"val_3.JPEG", {"n00000001"}, jpeg(3)}));
}

TEST_F(Tars, a_folder_of_images_may_have_a_list_of_labels_as_well) {
  write("val/b.jpg", jpeg(2));
  write("val/a.jpg", jpeg(1));
  write("val/notes.txt", "left out");
  TarInput input =
      open({.paths = {directory_ / "val"}, .labels_file = write("truth.txt", "7\n8\n")});
  EXPECT_EQ(input.kind(), "folder with a list of labels");
  EXPECT_THAT(list(input),
              ElementsAre(Seen{"a.jpg", {"7"}, jpeg(1)}, Seen{"b.jpg", {"8"}, jpeg(2)}));
}

TEST_F(Tars, a_list_of_labels_of_another_length_is_an_error_naming_both_counts) {
  const std::string tar = write("val.tar", validation_tar());
  const std::string labels = write("truth.txt", "1\n2\n");
  TarInput input = open({.paths = {tar}, .labels_file = labels});
  EXPECT_EQ(failure([&] { list(input); }), labels + ": 2 labels, but " + tar + " has 3 images");
}

TEST_F(Tars, a_list_of_labels_that_cannot_be_understood_is_an_error_naming_the_line) {
  const std::string tar = write("val.tar", validation_tar());
  const std::string names = write("ids.txt", "a\nb\n");
  const auto reason = [&](const std::string& lines, const std::string& label_names) {
    const std::string labels = write("truth.txt", lines);
    TarInput input = open({.paths = {tar}, .labels_file = labels, .label_names_file = label_names});
    return failure([&] { list(input); });
  };
  EXPECT_THAT(reason("1\n\n2\n", ""), HasSubstr("truth.txt:2: a line without a label"));
  EXPECT_THAT(reason("0\n1\n2\n", names), HasSubstr("truth.txt:3: `2` is not a number that"));
  EXPECT_THAT(reason("0\n-1\n1\n", names), HasSubstr("truth.txt:2: `-1` is not a number that"));
  EXPECT_THAT(reason("a\n0\n1\n", names), HasSubstr("truth.txt:1: `a` is not a number"));
}

TEST_F(Tars, litter_is_left_out_and_what_is_odd_is_a_problem) {
  TarWriter tar;
  tar.add("README.md", "words");
  tar.add("cat/._1.jpg", "macOS");
  tar.add("__MACOSX/cat/1.jpg", "macOS");
  tar.add("cat/1.jpg", jpeg(1));
  tar.add("cat/1.xml", "<box/>");
  tar.add("cat/movie.mp4", "frames");
  tar.add("cat/link.jpg", "", '2');
  tar.add("2.jpg", jpeg(2));
  const std::string path = write("images.tar", tar.finished());
  TarInput input = open_one(path);
  EXPECT_THAT(list(input), ElementsAre(Seen{"cat/1.jpg", {"cat"}, jpeg(1)}));
  EXPECT_THAT(problems_, ElementsAre(Pair(path + ": 2.jpg", "not in a folder of a class"),
                                     Pair(path + ": cat/link.jpg", HasSubstr("a link")),
                                     Pair(path + ": cat/movie.mp4", HasSubstr("not an image"))));
}

TEST_F(Tars, a_class_without_images_is_a_problem_and_keeps_its_label) {
  TarWriter none;
  none.add("list.txt", "nothing");
  TarWriter outer;
  outer.add("n00.tar", none.finished());
  outer.add("n02.tar", cats());
  const std::string path = write("train.tar", outer.finished());
  TarInput input = open_one(path);
  EXPECT_EQ(list(input).size(), 2U);
  EXPECT_THAT(class_names_, ElementsAre("n00", "n02"));
  EXPECT_THAT(problems_, ElementsAre(Pair(path + ": n00", HasSubstr("without images"))));
}

TEST_F(Tars, a_class_that_is_not_in_the_list_of_classes_is_a_problem_of_its_images) {
  TarInput input = open_one(write("train.tar", tar_of_tars()));
  EXPECT_EQ(list(input, LabelNames(ClassList{{"n02", "n05"}, "classes.txt"})).size(), 2U);
  EXPECT_EQ(problems_.size(), 1U);
  EXPECT_THAT(problems_.begin()->second, HasSubstr("`n01` is not in classes.txt"));
}

TEST_F(Tars, damaged_or_cut_are_an_error_naming_file_and_byte) {
  const std::string good = tar_of_tars();
  const std::string cut = write("cut.tar", good.substr(0, good.size() - 2500));
  EXPECT_THAT(failure([&] {
                TarInput input = open_one(cut);
                list(input);
              }),
              HasSubstr(cut + ": at byte "));

  std::string broken = good;
  broken[1024 + 100] ^= 1;  // in an image: not the tar's to notice
  const std::string pixels = write("pixels.tar", broken);
  TarInput unaware = open_one(pixels);
  EXPECT_EQ(list(unaware).size(), 3U);
  broken[512] ^= 1;  // in the header of the first inner tar
  const std::string header = write("header.tar", broken);
  TarInput input = open_one(header);
  EXPECT_EQ(failure([&] { list(input); }),
            header +
                ": at byte 0: not the header of a tar's member (its checksum does not fit) "
                "(counted from byte 512, where its member n02.tar starts)");

  const std::string compressed = deflate(good);
  const std::string stream = write("cut.tar.gz", compressed.substr(0, compressed.size() / 2));
  EXPECT_THAT(failure([&] {
                TarInput cut_stream = open_one(stream);
                list(cut_stream);
              }),
              HasSubstr(stream + ": "));
}

TEST_F(Tars, that_cannot_be_an_input_say_why) {
  const std::string flat = write("flat.tar", cats());
  EXPECT_THAT(failure([&] { open_one(flat); }), HasSubstr(flat + ": one tar of images without"));
  TarWriter none;
  none.add("a.txt", "no image");
  const std::string empty = write("none.tar", none.finished());
  EXPECT_THAT(failure([&] { open_one(empty); }), HasSubstr(empty + ": no images"));
  write("folder/a.jpg", jpeg(1));
  EXPECT_THAT(failure([&] { open_one(directory_ / "folder"); }), HasSubstr("folder: no tars"));
  const std::string labels = write("labels.txt", "1\n");
  EXPECT_THAT(failure([&] {
                open({.paths = {flat, flat}, .labels_file = labels});
              }),
              HasSubstr("for one tar or folder, not 2"));
  EXPECT_THROW(open_one(directory_ / "missing.tar"), storage::StorageError);
}

// ILSVRC-2012's layout as GNU tar writes it, with names that need more than a ustar header.
TEST_F(Tars, made_by_the_tar_command_are_read_in_each_format) {
  const std::string long_name = std::string(120, 'l') + ".JPEG";
  write("n01/a.JPEG", jpeg(1));
  write("n01/" + long_name, jpeg(2));
  write("n02/b.JPEG", jpeg(3));
  const auto tar = [&](const std::vector<std::string>& arguments) {
    std::vector<std::string> command{"tar"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const auto result = test::run_process(command, {}, directory_.path());
    ASSERT_EQ(result.exit_code, 0) << result.err;
  };
  for (const std::string format : {"gnu", "posix"}) {
    const std::string option = "--format=" + format;
    tar({option, "-C", "n01", "-cf", "n01.tar", "a.JPEG", long_name});
    tar({option, "-C", "n02", "-cf", "n02.tar", "b.JPEG"});
    tar({option, "-cf", "train.tar", "n01.tar", "n02.tar"});
    tar({option, "-czf", "train.tar.gz", "n01.tar", "n02.tar"});
    for (const std::string name : {"train.tar", "train.tar.gz"}) {
      TarInput input = open_one(directory_ / name);
      EXPECT_THAT(list(input), ElementsAre(Seen{"n01/a.JPEG", {"n01"}, jpeg(1)},
                                           Seen{"n01/" + long_name, {"n01"}, jpeg(2)},
                                           Seen{"n02/b.JPEG", {"n02"}, jpeg(3)}))
          << format << " " << name;
    }
  }
}

}  // namespace
}  // namespace bit::pipeline
