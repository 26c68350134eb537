// Class folders to shards: reproducible, shuffled, complete.
#include <set>

#include "storage/dataset.h"
#include "storage/example.h"
#include "tests/unit/pipeline/convert_fixture.h"

namespace bit::pipeline {
namespace {

using testing::HasSubstr;

TEST_F(Convert, output_is_byte_identical_for_any_number_of_threads) {
  std::map<std::string, std::string> expected;
  for (const unsigned threads : {1u, 2u, 8u}) {
    auto wanted = options("data-" + std::to_string(threads));
    wanted.threads = threads;
    EXPECT_TRUE(run(wanted).published);
    const auto files = contents(wanted.output);
    EXPECT_EQ(files.size(), 3u * 2 + 5);  // shards, sidecars, index, dataset.json, three of TFDS
    if (threads == 1) expected = files;
    EXPECT_EQ(files, expected) << threads << " threads";
  }
}

TEST_F(Convert, every_image_is_in_the_dataset_once_under_its_label) {
  run(options());
  const auto dataset = storage::Dataset::open(directory_ / "data", "train");
  EXPECT_EQ(dataset.records(), 120u);
  EXPECT_EQ(dataset.class_names(),
            (std::vector<std::string>{"class-0", "class-1", "class-2", "class-3"}));
  std::set<std::string> keys;
  for (std::uint64_t i = 0; i < dataset.records(); ++i) {
    const auto location = dataset.location(i);
    std::vector<std::byte> framed(location.bytes);
    dataset.shard_file(location.shard).read_at(location.offset, framed);
    const auto record = storage::parse_record(framed);
    ASSERT_FALSE(record.fault);
    const auto image = storage::parse_image_example(record.data);
    keys.emplace(image.key);
    ASSERT_EQ(image.labels.size(), 1u);
    EXPECT_EQ(image.labels[0], dataset.labels(i)[0]);
    EXPECT_TRUE(image.key.starts_with("class-" + std::to_string(image.labels[0]) + "/"));
    EXPECT_EQ(image.height, 20u);
    EXPECT_EQ(dataset.width(i), image.width);
  }
  EXPECT_EQ(keys.size(), 120u);
  EXPECT_TRUE(problems(directory_ / "data").empty());
}

TEST_F(Convert, records_of_a_class_sorted_input_are_mixed_over_the_shards) {
  run(options());
  const auto dataset = storage::Dataset::open(directory_ / "data", "train");
  for (std::uint64_t first = 0; first + 30 <= dataset.records(); first += 30) {
    std::set<std::int32_t> classes;
    for (std::uint64_t i = first; i < first + 30; ++i) classes.insert(dataset.labels(i)[0]);
    EXPECT_EQ(classes.size(), 4u) << "records from " << first;
  }
}

TEST_F(Convert, another_seed_gives_another_order) {
  auto other = options("other");
  other.seed = 6;
  run(options());
  run(other);
  EXPECT_NE(storage::Dataset::open(directory_ / "data", "train").hash(),
            storage::Dataset::open(directory_ / "other", "train").hash());
}

TEST_F(Convert, sidecars_hold_offset_and_size_of_each_record) {
  run(options());
  const auto dataset = storage::Dataset::open(directory_ / "data", "train");
  std::uint64_t record = 0;
  for (const auto& shard : dataset.shards()) {
    std::ifstream sidecar(shard + ".idx");
    for (std::uint64_t offset = 0, bytes = 0; sidecar >> offset >> bytes; ++record) {
      EXPECT_EQ(offset, dataset.location(record).offset);
      EXPECT_EQ(bytes, dataset.location(record).bytes);
    }
  }
  EXPECT_EQ(record, dataset.records());
}

TEST_F(Convert, bad_images_are_named_and_nothing_of_the_split_is_published) {
  write_text(input_ / "class-1/broken.jpg", "not an image");
  write_text(input_ / "class-2/empty.jpg", "");
  const auto report = run(options());
  EXPECT_FALSE(report.published);
  ASSERT_EQ(report.bad.size(), 2u);
  EXPECT_EQ(report.records, 120u);
  const auto files = contents(directory_ / "data");
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files.begin()->first, "quarantine.jsonl");
  EXPECT_THAT(files.begin()->second,
              HasSubstr(R"("split":"train","path":")" + (input_ / "class-1/broken.jpg").string() +
                        R"(","reason":"not an image of a known kind)"));
  EXPECT_THAT(files.begin()->second, HasSubstr("empty.jpg"));
}

TEST_F(Convert, up_to_max_bad_images_are_left_out) {
  write_text(input_ / "class-1/broken.jpg", "not an image");
  fs::create_symlink("nowhere", input_ / "class-2/dangling.jpg");
  auto wanted = options();
  wanted.max_bad = 1;
  EXPECT_FALSE(run(wanted).published);
  wanted.max_bad = 2;
  const auto report = run(wanted);
  EXPECT_TRUE(report.published);
  EXPECT_EQ(report.bad.size(), 2u);
  EXPECT_EQ(storage::Dataset::open(wanted.output, "train").records(), 120u);
  EXPECT_TRUE(problems(wanted.output).empty());
}

TEST_F(Convert, bad_images_that_were_mended_in_place_are_taken_by_the_same_command) {
  const std::string good =
      storage::read_file(storage::posix_file_system(), input_ / "class-0/image-0.jpg");
  write_text(input_ / "class-1/broken.jpg", "not an image");
  write_text(input_ / "class-2/broken.jpg", "not an image");
  EXPECT_EQ(run(options()).bad.size(), 2u);
  write_text(input_ / "class-1/broken.jpg", good);
  const auto report = run(options());
  EXPECT_EQ(report.bad.size(), 1u);
  EXPECT_FALSE(report.published);
  auto wanted = options();
  wanted.max_bad = 1;
  EXPECT_TRUE(run(wanted).published);
  EXPECT_EQ(storage::Dataset::open(wanted.output, "train").records(), 121u);
  EXPECT_TRUE(problems(wanted.output).empty());
}

TEST_F(Convert, quarantine_keeps_the_lines_of_other_splits_and_drops_repaired_ones) {
  write_text(input_ / "class-1/broken.jpg", "not an image");
  auto validation = options();
  validation.split = "validation";
  run(options());
  run(validation);
  const auto quarantine = [&] { return contents(directory_ / "data")["quarantine.jsonl"]; };
  EXPECT_THAT(quarantine(), HasSubstr("\"train\""));
  EXPECT_THAT(quarantine(), HasSubstr("\"validation\""));
  fs::remove(input_ / "class-1/broken.jpg");
  run(options());
  EXPECT_THAT(quarantine(), testing::Not(HasSubstr("\"train\"")));
  EXPECT_THAT(quarantine(), HasSubstr("\"validation\""));
  run(validation);
  EXPECT_FALSE(contents(directory_ / "data").contains("quarantine.jsonl"));
}

TEST_F(Convert, an_input_without_one_good_image_publishes_nothing) {
  fs::remove_all(input_);
  write_text(input_ / "class-0/a.jpg", "no");
  auto wanted = options();
  wanted.shards = 0;
  wanted.max_bad = 10;
  EXPECT_FALSE(run(wanted).published);
  EXPECT_FALSE(has_split(wanted.output, "train"));
}

TEST_F(Convert, splits_are_added_to_the_dataset_and_share_its_classes) {
  auto validation = options();
  validation.split = "validation";
  run(options());
  run(validation);
  EXPECT_TRUE(has_split(directory_ / "data", "train"));
  EXPECT_TRUE(has_split(directory_ / "data", "validation"));
  fs::rename(input_ / "class-2", input_ / "class-two");
  auto third = options();
  third.split = "test";
  const auto reason = failure<storage::DataError>([&] { run(third); });
  EXPECT_THAT(reason, HasSubstr("class 2 is `class-2` there and `class-3` in the input"));
  EXPECT_FALSE(has_split(directory_ / "data", "test"));
}

TEST_F(Convert, an_existing_split_is_replaced_only_when_asked) {
  run(options());
  const auto before = contents(directory_ / "data");
  auto again = options();
  again.shards = 2;
  EXPECT_THAT(failure<std::invalid_argument>([&] { run(again); }), HasSubstr("--overwrite"));
  EXPECT_EQ(contents(directory_ / "data"), before);
  again.overwrite = true;
  EXPECT_TRUE(run(again).published);
  EXPECT_EQ(contents(directory_ / "data").size(), 2u * 2 + 5);
  EXPECT_TRUE(problems(directory_ / "data").empty());
}

TEST_F(Convert, options_that_cannot_be_are_refused_with_the_reason) {
  auto wanted = options();
  wanted.shards = 500;
  EXPECT_THAT(failure<std::invalid_argument>([&] { run(wanted); }), HasSubstr("only 120 images"));
  wanted = options();
  wanted.split = "a/b";
  EXPECT_THAT(failure<std::invalid_argument>([&] { run(wanted); }), HasSubstr("--split `a/b`"));
  wanted = options();
  run(wanted);
  wanted.name = "others";
  wanted.split = "test";
  EXPECT_THAT(failure<std::invalid_argument>([&] { run(wanted); }), HasSubstr("`pictures`"));
}

TEST_F(Convert, what_the_options_alone_show_is_refused_before_the_input_is_listed) {
  run(options());
  auto other = options();
  other.seed = 6;
  EXPECT_THAT(
      failure<std::invalid_argument>([&] { check_options(storage::posix_file_system(), other); }),
      HasSubstr("--overwrite"));
  auto wanted = options("new");
  wanted.name = "a b";
  EXPECT_THAT(
      failure<std::invalid_argument>([&] { check_options(storage::posix_file_system(), wanted); }),
      HasSubstr("--name `a b`"));
  EXPECT_FALSE(fs::exists(wanted.output));
}

TEST_F(Convert, shards_default_to_one_for_a_small_input) {
  auto wanted = options();
  wanted.shards = 0;
  EXPECT_EQ(run(wanted).shards, 1u);
}

}  // namespace
}  // namespace bit::pipeline
