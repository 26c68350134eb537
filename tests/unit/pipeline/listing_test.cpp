// The list of images on disk, and what labels become.
#include "pipeline/convert/listing.h"

#include <utime.h>

#include "tests/unit/pipeline/convert_fixture.h"

namespace bit::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ListingTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return directory_ / name; }
  Listing finished(ListingWriter& writer) const {
    writer.finish();
    return Listing::open(files_, path("listing"));
  }

  test::TempDirectory directory_;
  storage::FileSystem& files_ = storage::posix_file_system();
  LabelNames labels_;
  ListingWriter writer_{files_, directory_ / "listing", labels_};
};

TEST_F(ListingTest, gives_back_what_was_put_in) {
  write_text(path("images.tar"), std::string(100, 'x'));
  fs::create_directories(path("folder"));
  const auto tar = writer_.add_container(path("images.tar"));
  const auto folder = writer_.add_container(path("folder"));
  writer_.add({"a/1.jpg", "inner/1.jpg", tar, 10, 20, {0}});
  writer_.add({"key of two", "sub/2.jpg", folder, 0, kWholeFile, {7, 300, 7, 3}});
  writer_.add({"", "", tar, std::uint64_t{1} << 50, 0, {2147483646}});
  writer_.add_problem("somewhere", "a reason");
  labels_.label("2147483646");  // numbers: labels stay as they are
  const Listing listing = finished(writer_);
  ASSERT_EQ(listing.images(), 3u);
  const ListedImage first = listing.image(0);
  EXPECT_EQ(first.key, "a/1.jpg");
  EXPECT_EQ(first.offset, 10u);
  EXPECT_EQ(first.bytes, 20u);
  EXPECT_EQ(listing.place(first), path("images.tar") + ": inner/1.jpg");
  EXPECT_EQ(listing.read(first).size(), 20u);
  const ListedImage second = listing.image(1);
  EXPECT_EQ(second.key, "key of two");
  EXPECT_EQ(listing.place(second), path("folder") + "/sub/2.jpg");
  EXPECT_THAT(second.labels, ElementsAre(3, 7, 300));
  EXPECT_THAT(failure<storage::StorageError>([&] { listing.read(second); }), HasSubstr("2.jpg"));
  const ListedImage third = listing.image(2);
  EXPECT_EQ(third.offset, std::uint64_t{1} << 50);
  EXPECT_THAT(third.labels, ElementsAre(2147483646));
  ASSERT_EQ(listing.problems().size(), 1u);
  EXPECT_EQ(listing.problems()[0].reason, "a reason");
}

TEST_F(ListingTest, names_met_on_the_way_are_numbered_in_byte_order) {
  fs::create_directories(path("folder"));
  const auto folder = writer_.add_container(path("folder"));
  for (const char* name : {"zebra", "Ant", "cat", "zebra"}) {
    writer_.add({name, name, folder, 0, kWholeFile, {labels_.label(name), labels_.label("Ant")}});
  }
  const Listing listing = finished(writer_);
  EXPECT_THAT(listing.class_names(), ElementsAre("Ant", "cat", "zebra"));
  EXPECT_THAT(listing.image(0).labels, ElementsAre(0, 2));
  EXPECT_THAT(listing.image(1).labels, ElementsAre(0));
  EXPECT_THAT(listing.image(2).labels, ElementsAre(0, 1));
}

TEST_F(ListingTest, sees_when_a_container_has_changed) {
  write_text(path("images.tar"), "12345");
  writer_.add_container(path("images.tar"));
  const Listing listing = finished(writer_);
  EXPECT_TRUE(listing.is_current());
  const utimbuf old{1000, 1000};
  utime(path("images.tar").c_str(), &old);
  EXPECT_FALSE(listing.is_current());
  fs::remove(path("images.tar"));
  EXPECT_FALSE(listing.is_current());
}

TEST_F(ListingTest, that_was_damaged_is_refused) {
  fs::create_directories(path("folder"));
  const auto folder = writer_.add_container(path("folder"));
  writer_.add({"a.jpg", "", folder, 0, kWholeFile, {labels_.label("a")}});
  finished(writer_);
  const std::string listing = storage::read_file(files_, path("listing"));
  write_text(path("listing"), listing.substr(0, listing.size() - 3));
  EXPECT_THROW(Listing::open(files_, path("listing")), storage::DataError);
  write_text(path("listing"), listing);
  write_text(path("listing.entries"), "");
  EXPECT_THROW(Listing::open(files_, path("listing")), storage::DataError);
}

TEST_F(ListingTest, estimates_the_bytes_of_files_and_adds_up_those_of_ranges) {
  fs::create_directories(path("folder"));
  const auto folder = writer_.add_container(path("folder"));
  for (int i = 0; i < 5; ++i) {
    const std::string name = std::to_string(i);
    if (i != 3) write_text(path("folder/" + name), std::string(10, 'x'));
    writer_.add({name, "", folder, 0, kWholeFile, {labels_.label("a")}});
  }
  EXPECT_EQ(finished(writer_).total_bytes(), 40u);  // the missing one counts nothing
}

TEST(LabelNamesTest, takes_names_and_numbers_of_a_given_list) {
  LabelNames labels(ClassList{{"n01440764", "n01443537"}, "synsets.txt"});
  EXPECT_EQ(labels.label("n01443537"), 1);
  EXPECT_EQ(labels.label("0"), 0);
  EXPECT_EQ(labels.label("2", 1), 1);
  EXPECT_EQ(failure<storage::DataError>([&] { labels.label("n9"); }),
            "class `n9` is not in synsets.txt");
  EXPECT_EQ(failure<storage::DataError>([&] { labels.label("2"); }),
            "label 2, but synsets.txt has 2 classes");
  EXPECT_EQ(failure<storage::DataError>([&] { labels.label("0", 1); }),
            "label 0, but labels start at 1");
  EXPECT_THAT(labels.finish().names, ElementsAre("n01440764", "n01443537"));
}

TEST(LabelNamesTest, refuses_a_mixture_of_names_and_numbers) {
  LabelNames names, numbers;
  names.label("cat");
  EXPECT_EQ(failure<storage::DataError>([&] { names.label("7"); }),
            "label 7 among names such as `cat`");
  numbers.label("7");
  EXPECT_EQ(failure<storage::DataError>([&] { numbers.label("cat"); }), "name `cat` among numbers");
  EXPECT_EQ(failure<storage::DataError>([&] { numbers.label("99999999999"); }),
            "label 99999999999 is too large");
}

TEST(ClassListTest, takes_wordnet_ids_and_plain_names_and_names_bad_lines) {
  const test::TempDirectory directory;
  const auto read = [&](const std::string& text) {
    write_text(directory / "classes.txt", text);
    return read_class_list(storage::posix_file_system(), directory / "classes.txt").names;
  };
  EXPECT_THAT(read("n01440764 tench, Tinca tinca\nn01443537\tgoldfish\nn01484850\n\n"),
              ElementsAre("n01440764", "n01443537", "n01484850"));
  EXPECT_THAT(read("great white shark\r\ncat"), ElementsAre("great white shark", "cat"));
  EXPECT_THAT(failure<storage::DataError>([&] { read("a\nb\na\n"); }),
              HasSubstr("classes.txt:3: class `a` is in line 1 already"));
  EXPECT_THAT(failure<storage::DataError>([&] { read("a\n\nb\n"); }),
              HasSubstr("classes.txt:2: a line without a class"));
  EXPECT_THAT(failure<storage::DataError>([&] { read("\n\n"); }), HasSubstr("no classes in it"));
}

TEST(DuplicatesTest, groups_equal_hashes_whatever_the_memory) {
  const std::vector<ContentHash> hashes = {{5, 1}, {6, 1}, {5, 1}, {0, 0}, {0, 0},
                                           {5, 2}, {5, 2}, {7, 9}, {5, 1}};
  const auto scan = [&](const auto& take) {
    for (std::size_t i = hashes.size(); i-- > 0;) take(i, hashes[i]);
  };
  for (const std::uint64_t memory : {1u, 50u, 100000u}) {
    EXPECT_THAT(find_duplicates(hashes.size(), scan, memory),
                ElementsAre(ElementsAre(0, 2, 8), ElementsAre(5, 6)))
        << memory;
  }
}

}  // namespace
}  // namespace bit::pipeline
