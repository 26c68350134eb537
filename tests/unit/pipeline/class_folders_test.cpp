// What counts as a class and what as an image.
#include "tests/unit/pipeline/convert_fixture.h"

namespace bit::pipeline {
namespace {

using testing::HasSubstr;

class ClassFoldersTest : public Convert {
 protected:
  Listing list(LabelNames labels = {}) const {
    ClassFolders input(storage::posix_file_system(), input_.string() + "/");
    ListingWriter writer(storage::posix_file_system(), directory_ / "listing", labels);
    input.list(writer);
    writer.finish();
    return Listing::open(storage::posix_file_system(), directory_ / "listing");
  }
};

TEST_F(ClassFoldersTest, leave_out_hidden_files_and_follow_links) {
  write_text(input_ / ".hidden/x.jpg", "x");
  for (const char* litter : {".DS_Store", "Thumbs.db", "desktop.ini"}) {
    write_text(input_ / "class-0" / litter, "x");
  }
  write_text(input_ / "README.md", "x");
  fs::create_directory_symlink(input_ / "class-1", input_ / "class-9");
  const Listing listing = list();
  EXPECT_EQ(listing.images(), 150u);
  EXPECT_EQ(listing.class_names().back(), "class-9");
  EXPECT_EQ(listing.image(0).key, "class-0/image-0.jpg");
  EXPECT_EQ(listing.place(listing.image(149)), (input_ / "class-9/image-9.jpg").string());
  EXPECT_EQ(listing.image(149).labels, std::vector<std::int32_t>{4});
}

TEST_F(ClassFoldersTest, that_are_none_are_refused_with_the_reason) {
  const auto refusal = [&] { return failure<storage::DataError>([&] { list(); }); };
  fs::create_directory(input_ / "class-1/deeper");
  EXPECT_THAT(refusal(), HasSubstr("there is a folder `deeper`"));
  fs::remove(input_ / "class-1/deeper");
  for (const auto& folder : fs::directory_iterator(input_)) {
    for (const auto& image : fs::directory_iterator(folder)) fs::remove(image);
  }
  EXPECT_THAT(refusal(), HasSubstr("no images in its class folders"));
  fs::remove_all(input_);
  fs::create_directory(input_);
  EXPECT_THAT(refusal(), HasSubstr("no class folders"));
}

TEST_F(ClassFoldersTest, a_class_without_images_keeps_its_label_and_is_a_problem) {
  fs::create_directory(input_ / "class-00");
  const Listing listing = list();
  EXPECT_EQ(listing.class_names().size(), 5u);
  EXPECT_EQ(listing.image(30).labels, std::vector<std::int32_t>{2});  // class-1
  ASSERT_EQ(listing.problems().size(), 1u);
  EXPECT_EQ(listing.problems()[0].path, (input_ / "class-00").string());

  auto wanted = options();
  const auto refused = run(wanted);
  EXPECT_FALSE(refused.published);
  EXPECT_EQ(refused.records, 0u) << "nothing is converted for nothing";
  ASSERT_EQ(refused.bad.size(), 1u);
  wanted.max_bad = 1;
  EXPECT_TRUE(run(wanted).published);
  EXPECT_TRUE(problems(wanted.output).empty());
}

TEST_F(ClassFoldersTest, an_image_beside_them_is_a_problem) {
  fs::copy_file(input_ / "class-0/image-0.jpg", input_ / "image.JPG");
  const Listing listing = list();
  EXPECT_EQ(listing.images(), 120u);
  ASSERT_EQ(listing.problems().size(), 1u);
  EXPECT_EQ(listing.problems()[0].path, (input_ / "image.JPG").string());
}

TEST_F(ClassFoldersTest, whose_names_are_not_utf8_are_refused) {
  fs::rename(input_ / "class-1", input_ / "\xE9t\xE9");
  EXPECT_THAT(failure<storage::DataError>([&] { list(); }), HasSubstr("is not UTF-8"));
}

TEST_F(ClassFoldersTest, take_their_labels_from_a_list_of_classes) {
  const ClassList classes{{"class-3", "class-2", "none", "class-1", "class-0"}, "classes.txt"};
  const Listing listing = list(LabelNames(classes));
  EXPECT_EQ(listing.class_names(), classes.names);
  EXPECT_EQ(listing.image(0).labels, std::vector<std::int32_t>{4});
  EXPECT_EQ(listing.image(119).labels, std::vector<std::int32_t>{0});
  EXPECT_EQ(failure<storage::DataError>([&] {
              list(LabelNames({{"class-0"}, "classes.txt"}));
            }),
            (input_ / "class-1").string() + ": class `class-1` is not in classes.txt");
}

}  // namespace
}  // namespace bit::pipeline
