// Class folders to shards: reproducible, shuffled, complete, and never half there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "pipeline/convert/class_folders.h"
#include "pipeline/convert/converter.h"
#include "pipeline/convert/verify_split.h"
#include "storage/dataset.h"
#include "storage/dataset_manifest.h"
#include "storage/example.h"
#include "storage/tfrecord.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/jpeg_writer.h"
#include "tests/support/temp_directory.h"

namespace bit::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

void write_bytes(const fs::path& path, std::span<const std::byte> bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

void write_text(const fs::path& path, const std::string& text) {
  write_bytes(path, std::as_bytes(std::span(text)));
}

std::map<std::string, std::string> contents(const fs::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    files[fs::relative(entry.path(), directory).string()] =
        storage::read_file(storage::posix_file_system(), entry.path().string());
  }
  return files;
}

// What `action` threw, "" when nothing.
template <typename Error, typename Action>
std::string failure(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// A folder of `classes` class folders of small pictures, and where to convert it to.
class Convert : public testing::Test {
 protected:
  void SetUp() override { make_images(input_, 4, 30); }

  static void make_images(const fs::path& root, std::uint32_t classes, std::uint32_t images) {
    for (std::uint32_t c = 0; c < classes; ++c) {
      for (std::uint32_t i = 0; i < images; ++i) {
        const std::uint32_t width = 16 + i % 9, height = 20;
        const auto file =
            test::write_jpeg(test::test_picture(width, height, 3, c * images + i), width, height,
                             {.horizontal = 2, .vertical = 2, .progressive = i % 5 == 0});
        write_bytes(root / ("class-" + std::to_string(c)) / ("image-" + std::to_string(i) + ".jpg"),
                    file);
      }
    }
  }

  ConvertOptions options(const std::string& output = "data") const {
    ConvertOptions options;
    options.output = directory_ / output;
    options.name = "pictures";
    options.split = "train";
    options.shards = 3;
    options.seed = 5;
    options.threads = 2;
    return options;
  }

  ConvertReport run(const ConvertOptions& options,
                    storage::FileSystem& files = storage::posix_file_system()) const {
    return convert(ClassFolders(storage::posix_file_system(), input_.string()), files, options);
  }

  static std::vector<SplitProblem> problems(const std::string& directory, bool decode = true) {
    const auto manifest = storage::read_manifest(storage::posix_file_system(), directory);
    std::vector<SplitProblem> found;
    for (const auto& split : manifest.splits()) {
      const auto report = verify_split(storage::posix_file_system(), directory, manifest, split,
                                       {.threads = 2, .decode = decode});
      found.insert(found.end(), report.problems.begin(), report.problems.end());
    }
    return found;
  }

  static bool has_split(const std::string& directory, const std::string& split) {
    if (!fs::exists(directory + "/dataset.json")) return false;
    const auto manifest = storage::read_manifest(storage::posix_file_system(), directory);
    return storage::find_split(manifest, split) != nullptr;
  }

  test::TempDirectory directory_;
  fs::path input_ = directory_ / "input";
};

TEST_F(Convert, output_is_byte_identical_for_any_number_of_threads) {
  std::map<std::string, std::string> expected;
  for (const unsigned threads : {1u, 2u, 8u}) {
    auto wanted = options("data-" + std::to_string(threads));
    wanted.threads = threads;
    EXPECT_TRUE(run(wanted).published);
    const auto files = contents(wanted.output);
    EXPECT_EQ(files.size(), 3u * 2 + 2);  // shards, sidecars, index, dataset.json
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
                        R"(","reason":"not a JPEG"})"));
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
  EXPECT_EQ(contents(directory_ / "data").size(), 2u * 2 + 2);
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

TEST_F(Convert, shards_default_to_one_for_a_small_input) {
  auto wanted = options();
  wanted.shards = 0;
  EXPECT_EQ(run(wanted).shards, 1u);
}

// Few enough images to try every moment at which a conversion can be interrupted.
class InterruptedConvert : public Convert {
 protected:
  void SetUp() override { make_images(input_, 2, 4); }

  // Without waiting for the disk.
  ConvertReport run_through(const ConvertOptions& options) const {
    test::FaultyFileSystem files(storage::posix_file_system());
    return run(options, files);
  }
};

TEST_F(InterruptedConvert,
       a_full_disk_at_any_moment_names_the_file_and_leaves_nothing_half_written) {
  std::size_t full_from = 0;
  for (;; ++full_from) {
    const auto wanted = options("full-" + std::to_string(full_from));
    test::FaultyFileSystem files(storage::posix_file_system());
    files.full_from = full_from;
    try {
      run(wanted, files);
      break;
    } catch (const storage::StorageError& error) {
      EXPECT_EQ(error.code(), std::errc::no_space_on_device);
      EXPECT_THAT(error.path(), HasSubstr(wanted.output));
    }
    EXPECT_FALSE(has_split(wanted.output, "train"));
    EXPECT_FALSE(fs::exists(wanted.output + "/.pictures-train.partial"));
  }
  EXPECT_GT(full_from, 30u);
}

TEST_F(InterruptedConvert, killed_at_any_moment_the_same_command_gives_the_same_dataset) {
  run_through(options("straight"));
  const auto expected = contents(directory_ / "straight");
  std::size_t crash_at = 0;
  for (;; ++crash_at) {
    auto wanted = options("killed-" + std::to_string(crash_at));
    test::FaultyFileSystem files(storage::posix_file_system());
    files.crash_at = crash_at;
    try {
      run(wanted, files);
      break;
    } catch (const test::Crash&) {
    }
    // The split is there, whole, or it is not there.
    wanted.overwrite = has_split(wanted.output, "train");
    if (wanted.overwrite) {
      EXPECT_TRUE(problems(wanted.output).empty()) << crash_at;
    }
    EXPECT_TRUE(run_through(wanted).published);
    EXPECT_EQ(contents(wanted.output), expected) << crash_at;
  }
  EXPECT_GT(crash_at, 30u);
}

TEST_F(InterruptedConvert, killed_while_it_replaces_a_split_lists_no_wrong_split) {
  std::size_t crash_at = 0;
  for (;; ++crash_at) {
    auto wanted = options("replaced-" + std::to_string(crash_at));
    run_through(wanted);
    wanted.overwrite = true;
    wanted.shards = 2;
    wanted.seed = 9;
    test::FaultyFileSystem files(storage::posix_file_system());
    files.crash_at = crash_at;
    try {
      run(wanted, files);
      break;
    } catch (const test::Crash&) {
    }
    EXPECT_TRUE(problems(wanted.output).empty()) << crash_at;
  }
  EXPECT_GT(crash_at, 30u);
}

TEST_F(Convert, an_input_that_cannot_be_read_stops_the_conversion) {
  test::FaultyFileSystem input_files(storage::posix_file_system());
  const ClassFolders input(input_files, input_.string());
  input_files.refuse_reads = std::errc::io_error;
  EXPECT_THROW(convert(input, storage::posix_file_system(), options()), storage::StorageError);
  EXPECT_FALSE(has_split(directory_ / "data", "train"));
}

TEST_F(Convert, verification_names_record_and_offset_of_a_flipped_bit) {
  run(options());
  const auto dataset = storage::Dataset::open(directory_ / "data", "train");
  const auto location = dataset.location(7);
  const auto& path = dataset.shards()[location.shard];
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(location.offset + location.bytes / 2));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(location.offset + location.bytes / 2));
  file.put(static_cast<char>(byte ^ 4));
  file.close();
  const auto found = problems(directory_ / "data");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].file, path);
  EXPECT_EQ(found[0].record, 7u);
  EXPECT_EQ(found[0].offset, location.offset);
  EXPECT_THAT(found[0].text(), HasSubstr(path + ": record 7 at byte "));
}

TEST_F(Convert, verification_names_where_a_shard_was_cut) {
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

TEST_F(Convert, verification_finds_a_missing_shard_and_a_lying_sidecar_and_a_damaged_index) {
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

TEST_F(Convert, verification_finds_a_shard_that_was_swapped_for_another_good_one) {
  auto other = options("other");
  other.seed = 77;
  run(options());
  run(other);
  const std::string name = "/" + storage::shard_file_name("pictures", "train", 1, 3);
  fs::copy_file(other.output + name, directory_ / "data" + name,
                fs::copy_options::overwrite_existing);
  EXPECT_FALSE(problems(directory_ / "data", false).empty());
}

TEST_F(Convert, class_folders_leave_out_hidden_files_and_follow_links) {
  write_text(input_ / ".hidden/x.jpg", "x");
  write_text(input_ / "class-0/.DS_Store", "x");
  write_text(input_ / "README.md", "x");
  fs::create_directory_symlink(input_ / "class-1", input_ / "class-9");
  const ClassFolders input(storage::posix_file_system(), input_.string() + "/");
  EXPECT_EQ(input.entries(), 150u);
  EXPECT_EQ(input.class_names().back(), "class-9");
  EXPECT_EQ(input.entry(0).key, "class-0/image-0.jpg");
  EXPECT_EQ(input.entry(149).path, (input_ / "class-9/image-9.jpg").string());
  EXPECT_EQ(input.entry(149).labels, std::vector<std::int32_t>{4});
}

TEST_F(Convert, class_folders_that_are_none_are_refused_with_the_reason) {
  const auto refusal = [&] {
    return failure<storage::DataError>(
        [&] { ClassFolders(storage::posix_file_system(), input_.string()); });
  };
  fs::create_directory(input_ / "class-1/deeper");
  EXPECT_THAT(refusal(), HasSubstr("there is a folder `deeper`"));
  fs::remove(input_ / "class-1/deeper");
  fs::create_directory(input_ / "empty");
  EXPECT_THAT(refusal(), HasSubstr("empty: class folder without images"));
  fs::remove_all(input_);
  fs::create_directory(input_);
  EXPECT_THAT(refusal(), HasSubstr("no class folders"));
}

}  // namespace
}  // namespace bit::pipeline
