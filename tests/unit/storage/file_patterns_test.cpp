// Paths, globs, braces and NAME@N; what is missing is said, never left out.
#include "storage/file_patterns.h"

#include <gtest/gtest.h>

#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class FilePatterns : public ::testing::Test {
 protected:
  void make(const std::vector<std::string>& names) {
    for (const std::string& name : names) write_text(directory_ / name, "");
  }
  // Names relative to the directory.
  std::vector<std::string> expand(const std::string& pattern) {
    std::vector<std::string> names;
    for (const std::string& path : expand_pattern(files_, directory_ / pattern)) {
      EXPECT_TRUE(path.starts_with(directory_.path() + "/")) << path;
      names.push_back(path.substr(directory_.path().size() + 1));
    }
    return names;
  }
  std::string error(const std::string& pattern) {
    return message_of<DataError>([&] { expand(pattern); });
  }

  FileSystem& files_ = posix_file_system();
  test::TempDirectory directory_;
};

TEST_F(FilePatterns, a_path_is_itself_whatever_characters_it_has) {
  make({"a", "b[1]{x,y}@2*"});
  EXPECT_THAT(expand("a"), ElementsAre("a"));
  EXPECT_THAT(expand("b[1]{x,y}@2*"), ElementsAre("b[1]{x,y}@2*"));
}

TEST_F(FilePatterns, globs_give_files_in_byte_order_without_sidecars_and_hidden_ones) {
  make({"b.rec", "a.rec", "B.rec", "a.rec.idx", ".hidden.rec", "c.txt"});
  files_.make_directories(directory_ / "folder.rec");
  EXPECT_THAT(expand("*.rec"), ElementsAre("B.rec", "a.rec", "b.rec"));
  EXPECT_THAT(expand("?.rec"), ElementsAre("B.rec", "a.rec", "b.rec"));
  EXPECT_THAT(expand("[ab].*"), ElementsAre("a.rec", "b.rec"));
  EXPECT_THAT(expand("*.idx"), ElementsAre("a.rec.idx"));
}

TEST_F(FilePatterns, any_component_may_be_a_glob) {
  for (const char* folder : {"x1", "x2", "y1"}) {
    files_.make_directories(directory_ / folder);
    make({std::string(folder) + "/b.rec", std::string(folder) + "/a.rec"});
  }
  make({"x3"});
  EXPECT_THAT(expand("x*/*.rec"), ElementsAre("x1/a.rec", "x1/b.rec", "x2/a.rec", "x2/b.rec"));
  EXPECT_THAT(expand("?1/a.rec"), ElementsAre("x1/a.rec", "y1/a.rec"));
}

TEST_F(FilePatterns, braces_give_their_alternatives_in_their_order) {
  make({"a1", "a2", "b1", "b2", "s-008", "s-009", "s-010"});
  EXPECT_THAT(expand("{b,a}{2,1}"), ElementsAre("b2", "b1", "a2", "a1"));
  EXPECT_THAT(expand("{a{2,1},b1}"), ElementsAre("a2", "a1", "b1"));
  EXPECT_THAT(expand("s-{008..010}"), ElementsAre("s-008", "s-009", "s-010"));
  EXPECT_THAT(expand("{b*,a1,b1}"), ElementsAre("b1", "b2", "a1"));
}

TEST_F(FilePatterns, at_names_a_set_by_its_total) {
  make({"t-00000-of-00003", "t-00001-of-00003", "t-00002-of-00003", "t-00000-of-00003.idx",
        "u-00000-of-00001"});
  const auto all = ElementsAre("t-00000-of-00003", "t-00001-of-00003", "t-00002-of-00003");
  EXPECT_THAT(expand("t@3"), all);
  EXPECT_THAT(expand("t@*"), all);
  EXPECT_THAT(expand("t-*"), all);
  EXPECT_THAT(expand("t-{00000..00002}-of-00003"), all);
}

TEST_F(FilePatterns, missing_files_are_listed_and_counted) {
  make({"s-3", "t-00000-of-00003", "t-00002-of-00003"});
  EXPECT_THAT(error("s-{0..9}"),
              AllOf(HasSubstr("9 files are missing: "), HasSubstr(directory_ / "s-0, "),
                    HasSubstr(directory_ / "s-5, ..."), Not(HasSubstr("s-6"))));
  for (const char* pattern : {"t@3", "t@*", "t-*", "t-0000[0-9]-of-00003"}) {
    EXPECT_THAT(error(pattern), HasSubstr("1 file is missing: " + directory_ / "t-00001-of-00003"))
        << pattern;
  }
  EXPECT_THAT(error("{s-3,x*}"), HasSubstr("1 file is missing: " + directory_ / "x*"));
}

TEST_F(FilePatterns, a_set_with_two_totals_or_a_number_beyond_them_is_refused) {
  make({"t-00000-of-00001", "t-00000-of-00002", "u-00007-of-00002", "v-00000-of-00001.gz"});
  EXPECT_THAT(error("t*"), AllOf(HasSubstr("t-00000-of-00001"), HasSubstr("t-00000-of-00002")));
  EXPECT_THAT(error("u*"), HasSubstr("its number is not one of 2"));
  EXPECT_THAT(expand("v*"), ElementsAre("v-00000-of-00001.gz"));
}

TEST_F(FilePatterns, what_matches_nothing_is_named) {
  EXPECT_THAT(error("*.rec"), HasSubstr(directory_ / "*.rec: no file matches"));
  EXPECT_THAT(error("none/*.rec"), HasSubstr("no file matches"));
  EXPECT_THAT(error("x"), HasSubstr(directory_ / "x: none of these files is there"));
  EXPECT_THAT(error("x@2"), HasSubstr("x-00000-of-00002"));
  EXPECT_THAT(message_of<DataError>([&] { expand_pattern(files_, ""); }), HasSubstr("empty"));
}

TEST_F(FilePatterns, nonsense_between_braces_is_refused_before_it_takes_memory) {
  EXPECT_THAT(error("{0..999999999}"), HasSubstr("more than 1000000 files"));
  EXPECT_THAT(error("{0..999}{0..999}{0..999}"), HasSubstr("more than 1000000 files"));
  EXPECT_THAT(error("{5..1}"), HasSubstr("{5..1} is not a range"));
  EXPECT_THAT(error("{a..c}"), HasSubstr("{a..c} is not a range"));
  EXPECT_THAT(error("{a,b"), HasSubstr("a brace that is not closed"));
}

}  // namespace
}  // namespace bit::storage
