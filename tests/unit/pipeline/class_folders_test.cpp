// What counts as a class and what as an image.
#include "tests/unit/pipeline/convert_fixture.h"

namespace bit::pipeline {
namespace {

using testing::HasSubstr;

class ClassFoldersTest : public Convert {};

TEST_F(ClassFoldersTest, leave_out_hidden_files_and_follow_links) {
  write_text(input_ / ".hidden/x.jpg", "x");
  for (const char* litter : {".DS_Store", "Thumbs.db", "desktop.ini"}) {
    write_text(input_ / "class-0" / litter, "x");
  }
  write_text(input_ / "README.md", "x");
  fs::create_directory_symlink(input_ / "class-1", input_ / "class-9");
  const ClassFolders input(storage::posix_file_system(), input_.string() + "/");
  EXPECT_EQ(input.entries(), 150u);
  EXPECT_EQ(input.class_names().back(), "class-9");
  EXPECT_EQ(input.entry(0).key, "class-0/image-0.jpg");
  EXPECT_EQ(input.entry(149).path, (input_ / "class-9/image-9.jpg").string());
  EXPECT_EQ(input.entry(149).labels, std::vector<std::int32_t>{4});
}

TEST_F(ClassFoldersTest, that_are_none_are_refused_with_the_reason) {
  const auto refusal = [&] {
    return failure<storage::DataError>(
        [&] { ClassFolders(storage::posix_file_system(), input_.string()); });
  };
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
  const ClassFolders input(storage::posix_file_system(), input_.string());
  EXPECT_EQ(input.class_names().size(), 5u);
  EXPECT_EQ(input.entry(30).labels, std::vector<std::int32_t>{2});  // class-1
  ASSERT_EQ(input.problems().size(), 1u);
  EXPECT_EQ(input.problems()[0].path, (input_ / "class-00").string());

  auto wanted = options();
  const auto refused = run(wanted);
  EXPECT_FALSE(refused.published);
  EXPECT_EQ(refused.records, 0u) << "nothing is converted for nothing";
  ASSERT_EQ(refused.bad.size(), 1u);
  wanted.max_bad = 1;
  EXPECT_TRUE(run(wanted).published);
  EXPECT_TRUE(problems(wanted.output).empty());
}

}  // namespace
}  // namespace bit::pipeline
