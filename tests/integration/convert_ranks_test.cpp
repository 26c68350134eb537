// A conversion gives the same bytes by any number of threads and ranks, and after being killed,
// stopped and refused by the disk any number of times.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>

#include "tests/integration/convert_support.h"
#include "tests/integration/run_support.h"
#include "tests/support/image_writers.h"
#include "tests/support/jpeg_writer.h"

namespace bit::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;
using Files = std::map<std::string, std::string>;

constexpr std::size_t kPhotographs = 220;
constexpr std::uint32_t kGenerated = 80;
constexpr std::size_t kTwins = 6;  // images that are in a second class as well
const std::vector<std::string> kMerge = {"--merge-duplicates"};

std::vector<std::byte> generated_image(std::uint32_t number) {
  const std::uint32_t width = 320 + number % 50, height = 240;
  const auto pixels = test_picture(width, height, 3, number);
  switch (number % 4) {
    case 0:
      return write_png({std::vector<std::uint16_t>(pixels.begin(), pixels.end())}, width, height,
                       {});
    case 1:
      return write_webp(pixels, width, height, false);
    case 2:
      return write_jpeg(pixels, width, height, {.progressive = true});
    default:
      return write_jpeg(pixels, width, height, {.horizontal = 2, .vertical = 2});
  }
}

// Class folders: bundled photographs, larger images of several kinds, and twins of both.
class Pictures {
 public:
  Pictures() {
    const auto result = run_process({"tar", "-xf", BIT_SOURCE_DIRECTORY "/examples/clothing-72.tar",
                                     "-C", directory_.path(), "clothing-72/test"});
    if (result.exit_code != 0) throw std::runtime_error("tar: " + result.err);
    std::vector<fs::path> photographs;
    for (const auto& entry : fs::recursive_directory_iterator(directory_ / "clothing-72")) {
      if (entry.is_regular_file()) photographs.push_back(entry.path());
    }
    std::ranges::sort(photographs);
    for (std::size_t i = 0; i < kPhotographs; ++i) {
      const auto& path = photographs.at(i * photographs.size() / kPhotographs);
      const std::string name = path.filename().string();
      write_file(input_ + "/" + path.parent_path().filename().string() + "/" + name,
                 file_bytes(path.string()));
      if (i < kTwins / 2) write_file(input_ + "/zebra/twin-" + name, file_bytes(path.string()));
    }
    for (std::uint32_t i = 0; i < kGenerated; ++i) {
      const auto file = generated_image(i);
      write_file(input_ + "/made/" + std::to_string(i), file);
      if (i < kTwins / 2) write_file(input_ + "/zebra/" + std::to_string(i), file);
    }
  }
  const std::string& input() const { return input_; }

 private:
  TempDirectory directory_;
  const std::string input_ = directory_ / "input";
};

class ConvertRanks : public testing::Test {
 protected:
  static const Pictures& pictures() {
    static const Pictures pictures;
    return pictures;
  }
  ConvertCommand command(const std::string& output, std::vector<std::string> more = {},
                         int ranks = 0) const {
    more.insert(more.end(), {"--shards", "12", "--seed", "3"});
    if (std::ranges::find(more, "--threads") == more.end())
      more.insert(more.end(), {"--threads", "2"});
    return {pictures().input(), directory_ / output, more, ranks};
  }
  // What the command gives that nothing disturbs.
  Files undisturbed(const std::vector<std::string>& more = {}) const {
    const auto whole = command("undisturbed", more);
    const auto result = whole.go();
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, testing::Not(HasSubstr("goes on")));
    return published(whole.output);
  }
  // Equal names and bytes; only the name of a file that differs is printed.
  static void expect_equal(const std::string& directory, const Files& expected,
                           const std::string& how) {
    const auto found = published(directory);
    for (const auto& [name, bytes] : expected) {
      const auto same = found.find(name);
      EXPECT_TRUE(same != found.end() && same->second == bytes) << name << " of " << how;
    }
    for (const auto& [name, bytes] : found) EXPECT_TRUE(expected.contains(name)) << name;
  }
  void expect_equal_by_all_ways(const std::vector<std::string>& more, std::size_t records) const;
  void expect_equal_after_twenty_kills(const std::vector<std::string>& more, int ranks) const;

  TempDirectory directory_;
};

void ConvertRanks::expect_equal_by_all_ways(const std::vector<std::string>& more,
                                            std::size_t records) const {
  const auto expected = undisturbed(more);
  EXPECT_EQ(expected.size(), 12u * 2 + 5 + 1);  // shards and .idx; descriptions; duplicates.jsonl
  EXPECT_EQ(records_in(directory_ / "undisturbed").size(), records);
  const auto check = [&](const std::string& threads, int ranks) {
    const std::string how = threads + " threads, " + std::to_string(ranks) + " ranks";
    auto options = more;
    options.insert(options.end(), {"--threads", threads});
    const auto way = command(threads + "-" + std::to_string(ranks), options, ranks);
    const auto result = way.go();
    ASSERT_EQ(result.exit_code, 0) << how << result.err;
    expect_equal(way.output, expected, how);
  };
  for (const char* threads : {"1", "2", "8"}) check(threads, 0);
  for (const int ranks : {1, 2, 3}) check("2", ranks);
}

TEST_F(ConvertRanks, any_number_of_threads_and_ranks_gives_the_same_bytes) {
  expect_equal_by_all_ways({}, kPhotographs + kGenerated + kTwins);
}

TEST_F(ConvertRanks, merged_duplicates_give_the_same_bytes_and_records_with_the_labels_of_all) {
  expect_equal_by_all_ways(kMerge, kPhotographs + kGenerated);
  std::size_t twins = 0;
  for (const auto& [key, record] : records_in(directory_ / "undisturbed")) {
    const std::string folder = key.substr(0, key.find('/'));
    if (record.labels.size() == 1) {
      EXPECT_EQ(record.labels.front(), folder) << key;
    } else {
      EXPECT_THAT(record.labels, testing::ElementsAre(folder, "zebra")) << key;
      ++twins;
    }
  }
  EXPECT_EQ(twins, kTwins);
}

// Whether it ended by itself before `moment`.
bool ends_before(Process& process, Clock::time_point moment) {
  while (process.running()) {
    if (Clock::now() >= moment) return false;
    poll(nullptr, 0, 1);  // milliseconds
  }
  return true;
}

void ConvertRanks::expect_equal_after_twenty_kills(const std::vector<std::string>& more,
                                                   int ranks) const {
  const auto expected = undisturbed(more);
  const auto measured = command("measured", more, ranks);
  const auto begin = Clock::now();
  ASSERT_EQ(measured.go().exit_code, 0);
  const std::chrono::duration<double> duration = Clock::now() - begin;

  const auto killed = command("killed", more, ranks);
  std::mt19937 random(20260101);
  std::uniform_real_distribution<double> part(0, 1);
  int went_on = 0;
  for (int kills = 0; kills < 20;) {
    const auto process = killed.start();
    const auto delay = std::chrono::duration_cast<Clock::duration>(part(random) * duration);
    if (ends_before(*process, Clock::now() + delay)) {
      const auto result = process->wait();
      ASSERT_EQ(result.exit_code, 0) << result.err;
      expect_equal(killed.output, expected, std::to_string(kills) + " kills");
      fs::remove_all(killed.output);
    } else {
      killed.kill_all(*process);
      went_on += process->wait().out.find("goes on: ") != std::string::npos ? 1 : 0;
      ++kills;
    }
  }
  const auto last = killed.go();
  ASSERT_EQ(last.exit_code, 0) << last.err;
  expect_equal(killed.output, expected, "twenty kills");
  EXPECT_GT(went_on, 0) << "no kill met a conversion that had gone on";
}

TEST_F(ConvertRanks, after_twenty_kills_the_bytes_are_the_same) {
  expect_equal_after_twenty_kills({}, 0);
}

TEST_F(ConvertRanks, after_twenty_kills_of_two_ranks_the_merged_bytes_are_the_same) {
  expect_equal_after_twenty_kills({"--merge-duplicates", "--threads", "1"}, 2);
}

std::size_t shards_done(const std::string& output) {
  std::error_code missing;
  const fs::directory_iterator journal(output + "/.pictures-train.partial/journal", missing);
  return missing ? 0
                 : static_cast<std::size_t>(std::distance(fs::begin(journal), fs::end(journal)));
}

TEST_F(ConvertRanks, a_signal_ends_it_with_75_and_the_same_command_goes_on) {
  const auto expected = undisturbed();
  // mpirun passes USR2 on to its ranks; TERM it takes for itself.
  for (const auto& [ranks, signal] : {std::pair{0, SIGTERM}, std::pair{2, SIGUSR2}}) {
    const auto stopped = command("stopped-" + std::to_string(ranks), {"--threads", "1"}, ranks);
    const auto process = stopped.start();
    ASSERT_TRUE(
        eventually([&] { return !process->running() || shards_done(stopped.output) > 0; }, 30));
    process->signal(signal);
    const auto result = process->wait();
    EXPECT_EQ(result.exit_code, 75) << ranks << result.err;
    EXPECT_THAT(result.out, HasSubstr("stopped by signal "));
    EXPECT_THAT(result.out, HasSubstr("the same command goes on"));
    EXPECT_FALSE(fs::exists(stopped.output + "/dataset.json"));

    const auto again = stopped.go();
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_THAT(again.out, HasSubstr("goes on: "));
    expect_equal(stopped.output, expected, std::to_string(ranks) + " ranks stopped");
  }
}

TEST_F(ConvertRanks, a_full_disk_ends_it_with_74_and_the_same_command_goes_on) {
  const auto expected = undisturbed();
  std::size_t largest = 0;
  for (const auto& [name, bytes] : expected) largest = std::max(largest, bytes.size());
  for (const int ranks : {0, 2}) {
    auto wanted = command("full-" + std::to_string(ranks), {}, ranks);
    // The largest shard does not fit, others do. (bash counts in KiB.)
    wanted.around = {"bash", "-c",
                     "ulimit -f " + std::to_string(largest / 1024 - 1) + "; exec \"$@\"",
                     "limited"};
    const auto full = wanted.go();
    EXPECT_EQ(full.exit_code, 74) << full.err;
    EXPECT_THAT(full.err, HasSubstr("File too large"));
    EXPECT_THAT(full.err, HasSubstr(wanted.output + "/"));
    EXPECT_FALSE(fs::exists(wanted.output + "/dataset.json"));
    EXPECT_GT(shards_done(wanted.output), 0u);

    wanted.around.clear();
    const auto again = wanted.go();
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_THAT(again.out, HasSubstr("goes on: "));
    expect_equal(wanted.output, expected, std::to_string(ranks) + " ranks on a full disk");
  }
}

TEST_F(ConvertRanks, an_output_that_cannot_be_written_ends_it_with_74_and_is_named) {
  write_file(directory_ / "file", "a file where a directory should be");
  for (const int ranks : {0, 2}) {
    for (const char* output : {"file", "file/below"}) {
      const auto result = command(output, {}, ranks).go();
      EXPECT_EQ(result.exit_code, 74) << result.err;
      EXPECT_THAT(result.err, HasSubstr(directory_ / "file"));
    }
  }
}

TEST_F(ConvertRanks, what_is_in_the_way_of_a_shard_ends_it_with_74_until_it_is_gone) {
  const auto expected = undisturbed();
  const auto wanted = command("blocked");
  const std::string shard = wanted.output + "/pictures-train.tfrecord-00007-of-00012";
  fs::create_directories(shard);
  const auto blocked = wanted.go();
  EXPECT_EQ(blocked.exit_code, 74) << blocked.err;
  EXPECT_THAT(blocked.err, HasSubstr(shard));
  EXPECT_FALSE(fs::exists(wanted.output + "/dataset.json"));
  fs::remove(shard);
  const auto again = wanted.go();
  EXPECT_EQ(again.exit_code, 0) << again.err;
  expect_equal(wanted.output, expected, "a shard whose name was taken");
}

TEST_F(ConvertRanks, when_it_is_complete_the_same_command_says_so_and_another_is_refused) {
  const auto expected = undisturbed();
  for (const int ranks : {0, 2}) {
    const auto again = command("undisturbed", {"--threads", "1"}, ranks).go();
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_THAT(again.out, HasSubstr("train: complete already: 306 records"));
    for (const std::vector<std::string>& other :
         {kMerge, {"--quality", "80"}, {"--jpeg", "keep"}, {"--exif", "apply"}}) {
      const auto refused = command("undisturbed", other, ranks).go();
      EXPECT_EQ(refused.exit_code, 2) << other.front();
      EXPECT_THAT(refused.err, HasSubstr("split `train` exists in " + directory_.path()));
    }
  }
  expect_equal(directory_ / "undisturbed", expected, "commands that had nothing to do");
}

TEST_F(ConvertRanks, of_two_at_once_the_second_ends_with_3_and_names_the_first) {
  const auto expected = undisturbed();
  const auto wanted = command("data");
  const auto first = wanted.start();
  const std::string holder = "process " + std::to_string(first->pid()) + " on ";
  const auto signed_lock = [&] {
    return file_bytes(wanted.output + "/.lock").find(holder) != std::string::npos;
  };
  ASSERT_TRUE(eventually([&] { return !first->running() || signed_lock(); }, 30));
  first->signal(SIGSTOP);  // it stays where it is, with the lock
  for (const int ranks : {0, 2}) {
    const auto second = command("data", {}, ranks).go();
    EXPECT_EQ(second.exit_code, 3) << second.err;
    EXPECT_THAT(second.err, HasSubstr(wanted.output + "/.lock is held by " + holder));
  }
  first->signal(SIGCONT);
  const auto result = first->wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  expect_equal(wanted.output, expected, "the first of two");
}

}  // namespace
}  // namespace bit::test
