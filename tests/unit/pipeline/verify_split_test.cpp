// Every kind of damage to a converted split is found and named.
#include <algorithm>
#include <set>

#include "storage/dataset.h"
#include "tests/unit/pipeline/convert_fixture.h"

namespace bit::pipeline {
namespace {

using testing::HasSubstr;

class VerifySplit : public Convert {
 protected:
  static void flip_bit(const std::string& path, std::uint64_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(byte ^ 4));
  }
};

TEST_F(VerifySplit, names_record_and_offset_of_a_flipped_bit) {
  run(options());
  const auto dataset = storage::Dataset::open(directory_ / "data", "train");
  const auto location = dataset.location(7);
  const auto& path = dataset.shards()[location.shard];
  flip_bit(path, location.offset + location.bytes / 2);
  const auto found = problems(directory_ / "data");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].file, path);
  EXPECT_EQ(found[0].record, 7u);
  EXPECT_EQ(found[0].offset, location.offset);
  EXPECT_THAT(found[0].text(), HasSubstr(path + ": record 7 at byte "));
  EXPECT_THAT(found[0].text(), HasSubstr(" (class-")) << "the key, which is not damaged";
}

TEST_F(VerifySplit, tells_what_is_behind_the_last_record_and_which_sidecar_is_missing) {
  run(options());
  const auto dataset = storage::Dataset::open(directory_ / "data", "train");
  std::ofstream(dataset.shards()[0], std::ios::binary | std::ios::app) << std::string(100, '\0');
  fs::remove(dataset.shards()[1] + ".idx");
  std::vector<std::string> texts;
  for (const auto& problem : problems(directory_ / "data")) texts.push_back(problem.text());
  EXPECT_THAT(texts, testing::Contains(HasSubstr("behind the last record: ")));
  EXPECT_THAT(texts, testing::Not(testing::Contains(HasSubstr(": record "))));
  EXPECT_THAT(texts, testing::Contains(dataset.shards()[1] + ".idx: missing"));
}

TEST_F(VerifySplit, goes_on_behind_a_damaged_length_where_the_index_says) {
  run(options());
  const auto dataset = storage::Dataset::open(directory_ / "data", "train");
  const auto& path = dataset.shards()[0];
  for (const std::uint64_t record : {3, 4, 20}) flip_bit(path, dataset.location(record).offset);
  flip_bit(path, dataset.location(30).offset + 100);
  std::vector<std::uint64_t> bad;
  for (const auto& problem : problems(directory_ / "data")) {
    if (!problem.record) continue;
    bad.push_back(*problem.record);
    EXPECT_EQ(problem.offset, dataset.location(*problem.record).offset);
  }
  EXPECT_EQ(bad, (std::vector<std::uint64_t>{3, 4, 20, 30}));
}

TEST_F(VerifySplit, names_where_a_shard_was_cut) {
  run(options());
  const auto dataset = storage::Dataset::open(directory_ / "data", "train");
  const auto last = dataset.location(39);  // of the first shard's forty
  ASSERT_EQ(last.shard, 0u);
  fs::resize_file(dataset.shards()[0], last.offset + 20);
  const auto found = problems(directory_ / "data");
  ASSERT_GE(found.size(), 2u);
  EXPECT_THAT(found[0].text(), HasSubstr("bytes, dataset.json says"));
  EXPECT_EQ(found[1].record, 39u);
  EXPECT_EQ(found[1].offset, last.offset);
}

TEST_F(VerifySplit, finds_a_missing_shard_and_a_lying_sidecar_and_a_damaged_index) {
  run(options());
  const std::string data = directory_ / "data";
  const auto shard = [&](std::uint32_t i) {
    return data + "/" + storage::shard_file_name("pictures", "train", i, 3);
  };
  fs::remove(shard(2));
  write_text(shard(0) + ".idx", "0 1\n");
  write_text(data + "/pictures-train.index", "nonsense");
  std::set<std::string> files;
  for (const auto& problem : problems(data)) files.insert(problem.file);
  EXPECT_EQ(files,
            (std::set<std::string>{data + "/pictures-train.index", shard(0) + ".idx", shard(2)}));
}

TEST_F(VerifySplit, finds_an_index_that_dataset_json_was_not_written_with) {
  run(options());
  const std::string data = directory_ / "data", path = data + "/dataset.json";
  auto& files = storage::posix_file_system();
  auto manifest = storage::read_manifest(files, data);
  ASSERT_EQ(manifest.splits(0).index_hash().size(), 16u);
  manifest.mutable_splits(0)->set_index_hash("0123456789abcdef");
  storage::write_manifest(files, data, manifest);
  const auto found = problems(data);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0].text(), HasSubstr("pictures-train.index: stale or of another dataset"));
}

// Blocks that changed places: the records inside them are good, but not where the index has them.
TEST_F(VerifySplit, names_records_that_lie_in_another_place) {
  run(options());
  const auto dataset = storage::Dataset::open(directory_ / "data", "train");
  const auto& path = dataset.shards()[0];
  std::string content = storage::read_file(storage::posix_file_system(), path);
  const auto third = dataset.location(3), fourth = dataset.location(4);
  std::rotate(content.begin() + static_cast<std::ptrdiff_t>(third.offset),
              content.begin() + static_cast<std::ptrdiff_t>(fourth.offset),
              content.begin() + static_cast<std::ptrdiff_t>(fourth.offset + fourth.bytes));
  write_text(path, content);
  const auto found = problems(directory_ / "data");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].record, 3u);
  EXPECT_EQ(found[0].offset, third.offset);
  EXPECT_EQ(found[1].offset, third.offset + fourth.bytes);
  EXPECT_THAT(found[1].reason, HasSubstr("not in the index"));
  EXPECT_EQ(found[2].file, path + ".idx");
}

TEST_F(VerifySplit, finds_a_shard_that_was_swapped_for_another_good_one) {
  auto other = options("other");
  other.seed = 77;
  run(options());
  run(other);
  const std::string name = "/" + storage::shard_file_name("pictures", "train", 1, 3);
  fs::copy_file(other.output + name, directory_ / "data" + name,
                fs::copy_options::overwrite_existing);
  EXPECT_FALSE(problems(directory_ / "data", false).empty());
}

TEST_F(VerifySplit, names_the_key_of_a_record_that_can_be_read) {
  run(options());
  const auto dataset = storage::Dataset::open(directory_ / "data", "train");
  auto manifest = storage::read_manifest(storage::posix_file_system(), directory_ / "data");
  manifest.mutable_class_names()->RemoveLast();  // class-3 is gone
  const auto report = verify_split(storage::posix_file_system(), directory_ / "data", manifest,
                                   manifest.splits(0), {.threads = 2, .decode = false});
  ASSERT_EQ(report.problems.size(), 30u);
  for (const auto& problem : report.problems) {
    EXPECT_THAT(problem.key, testing::StartsWith("class-3/image-"));
    EXPECT_THAT(problem.text(), HasSubstr(" (" + problem.key + "): a label beyond the 3 classes"));
  }
}

TEST_F(VerifySplit, images_that_are_there_twice_are_told_and_no_fault) {
  const fs::path first = input_ / "class-0/image-7.jpg";
  fs::copy_file(first, input_ / "class-0/again.jpg");
  fs::copy_file(first, input_ / "class-2/again.jpg");
  auto lossless = options();
  lossless.threads = 1;
  run(lossless);
  const auto manifest = storage::read_manifest(storage::posix_file_system(), directory_ / "data");
  const auto verify = [&](bool decode) {
    return verify_split(storage::posix_file_system(), directory_ / "data", manifest,
                        manifest.splits(0), {.threads = 2, .decode = decode});
  };
  const auto report = verify(true);
  EXPECT_TRUE(report.problems.empty());
  EXPECT_EQ(report.same_key.records, 0u);
  EXPECT_EQ(report.same_pixels.records, 2u);
  ASSERT_EQ(report.same_pixels.first.size(), 2u);
  std::set<std::string> keys;
  for (const auto& [one, other] : report.same_pixels.first) {
    for (const auto& text : {one, other}) keys.insert(text.substr(text.find('(')));
  }
  EXPECT_EQ(keys, (std::set<std::string>{"(class-0/again.jpg)", "(class-0/image-7.jpg)",
                                         "(class-2/again.jpg)"}));
  EXPECT_EQ(verify(false).same_pixels.records, 0u);
}

}  // namespace
}  // namespace bit::pipeline
