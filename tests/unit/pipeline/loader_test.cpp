#include "pipeline/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "storage/tfrecord.h"
#include "tests/support/temp_directory.h"
#include "tests/support/test_dataset.h"

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kRecords = 203;
constexpr std::uint32_t kClasses = 5;
constexpr std::uint32_t kSize = 16;  // pixels

// A batch that outlives its slots.
struct Copy {
  std::uint64_t number = 0, epoch = 0;
  std::vector<std::uint8_t> images;
  std::vector<std::uint64_t> records;
  std::vector<std::vector<std::int32_t>> labels;
  std::vector<BadRecord> bad_records;

  bool operator==(const Copy& other) const {
    return number == other.number && epoch == other.epoch && images == other.images &&
           records == other.records && labels == other.labels;
  }
};

Copy copy(const Batch& batch) {
  return {batch.number,
          batch.epoch,
          {batch.images.begin(), batch.images.end()},
          {batch.records.begin(), batch.records.end()},
          {batch.labels.begin(), batch.labels.end()},
          {batch.bad_records.begin(), batch.bad_records.end()}};
}

std::vector<Copy> all_batches(Loader& loader) {
  std::vector<Copy> batches;
  while (const Batch* batch = loader.next()) batches.push_back(copy(*batch));
  return batches;
}

TrainOrder train_order() {
  TrainOrderOptions options;
  options.records = kRecords;
  options.batch = 16;
  options.block = 8;
  options.lanes = 4;
  options.window = 96;
  options.seed = 3;
  return TrainOrder(options);
}

// Records of the first batch, so that they are certainly met.
std::uint64_t planned(std::uint64_t slot) { return train_order().sample(0, slot).record; }

class LoaderTest : public ::testing::Test {
 protected:
  // Writes the records, after `change` had its way with them, and opens the dataset.
  template <typename Change>
  storage::Dataset dataset(Change change) {
    std::vector<test::TestRecord> records = test::test_records(kRecords, kClasses);
    change(records);
    test::write_test_dataset(directory_.path(), "train", records, 3, kClasses);
    return storage::Dataset::open(directory_.path(), "train");
  }
  storage::Dataset dataset() {
    return dataset([](auto&) {});
  }

  static LoaderOptions options(std::uint64_t first, std::uint64_t last) {
    LoaderOptions options;
    options.image_size = kSize;
    options.decoder_threads = 3;
    options.first_batch = first;
    options.last_batch = last;
    return options;
  }

  static PlanImage plan() { return training_plan(3, kSize, {}); }

  static std::vector<Copy> train(const storage::Dataset& dataset, const LoaderOptions& options) {
    const TrainOrder order = train_order();
    Loader loader(dataset, order, plan(), options);
    return all_batches(loader);
  }

  test::TempDirectory directory_;
};

TEST_F(LoaderTest, gives_the_records_of_the_order_with_their_labels) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  const auto batches = train(data, options(0, 30));
  ASSERT_EQ(batches.size(), 30U);
  for (std::uint64_t n = 0; n < 30; ++n) {
    EXPECT_EQ(batches[n].number, n);
    EXPECT_EQ(batches[n].epoch, n / 12);
    EXPECT_TRUE(batches[n].bad_records.empty());
    ASSERT_EQ(batches[n].images.size(), 16 * kSize * kSize * 3);
    for (std::uint64_t slot = 0; slot < 16; ++slot) {
      const std::uint64_t record = order.sample(n, slot).record;
      EXPECT_EQ(batches[n].records[slot], record);
      EXPECT_EQ(batches[n].labels[slot],
                std::vector<std::int32_t>{static_cast<std::int32_t>(record % kClasses)});
    }
  }
}

TEST_F(LoaderTest, gives_the_same_bytes_with_any_number_of_threads) {
  const storage::Dataset data = dataset();
  LoaderOptions one = options(0, 51);
  one.decoder_threads = 1;
  one.reader_threads = 1;
  one.prefetch = 1;
  const auto expected = train(data, one);
  ASSERT_EQ(expected.size(), 51U);
  for (const unsigned threads : {2U, 8U}) {
    LoaderOptions many = options(0, 51);
    many.decoder_threads = threads;
    many.reader_threads = 3;
    EXPECT_EQ(train(data, many), expected) << threads;
  }
}

TEST_F(LoaderTest, shows_a_record_cut_otherwise_in_each_epoch) {
  const storage::Dataset data = dataset();
  const auto batches = train(data, options(0, 24));
  const auto image_of = [&](std::uint64_t record, std::uint64_t epoch) {
    for (const Copy& batch : batches) {
      const auto found = std::ranges::find(batch.records, record);
      if (batch.epoch != epoch || found == batch.records.end()) continue;
      const auto begin = batch.images.begin() + (found - batch.records.begin()) * kSize * kSize * 3;
      return std::vector<std::uint8_t>(begin, begin + kSize * kSize * 3);
    }
    return std::vector<std::uint8_t>{};
  };
  int shown_twice = 0;
  for (std::uint64_t record = 0; record < kRecords; ++record) {
    const auto first = image_of(record, 0), second = image_of(record, 1);
    if (first.empty() || second.empty()) continue;
    ++shown_twice;
    EXPECT_NE(first, second) << record;
  }
  EXPECT_GT(shown_twice, 150);
}

TEST_F(LoaderTest, resumes_at_any_batch_with_the_batches_of_the_continuing_run) {
  const storage::Dataset data = dataset();
  const auto whole = train(data, options(0, 26));
  for (const std::uint64_t first : {1U, 5U, 11U, 12U, 25U, 26U}) {
    const auto rest = train(data, options(first, 26));
    EXPECT_EQ(rest, std::vector<Copy>(whole.begin() + static_cast<long>(first), whole.end()));
  }
}

TEST_F(LoaderTest, gives_ranks_slices_of_the_same_global_batches) {
  const storage::Dataset data = dataset();
  const auto whole = train(data, options(3, 20));
  for (const int ranks : {2, 4}) {
    std::vector<Copy> joined(whole.size());
    for (int rank = 0; rank < ranks; ++rank) {
      LoaderOptions of_rank = options(3, 20);
      of_rank.rank = rank;
      of_rank.ranks = ranks;
      const auto slices = train(data, of_rank);
      ASSERT_EQ(slices.size(), whole.size());
      for (std::size_t i = 0; i < slices.size(); ++i) {
        joined[i].number = slices[i].number;
        joined[i].epoch = slices[i].epoch;
        const auto append = [](auto& to, const auto& from) {
          to.insert(to.end(), from.begin(), from.end());
        };
        append(joined[i].images, slices[i].images);
        append(joined[i].records, slices[i].records);
        append(joined[i].labels, slices[i].labels);
      }
    }
    EXPECT_EQ(joined, whole) << ranks;
  }
}

TEST_F(LoaderTest, evaluates_each_record_once_on_any_number_of_ranks) {
  const storage::Dataset data = dataset();
  const EvaluationOrder order(kRecords, 24);
  ASSERT_EQ(order.batches_per_epoch(), 9U);
  for (const int ranks : {1, 2, 3, 4}) {
    std::vector<int> counts(kRecords);
    int padding = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      LoaderOptions of_rank = options(0, order.batches_per_epoch());
      of_rank.rank = rank;
      of_rank.ranks = ranks;
      Loader loader(data, order, evaluation_plan(20, kSize), of_rank);
      for (const Copy& batch : all_batches(loader)) {
        for (std::size_t slot = 0; slot < batch.records.size(); ++slot) {
          if (batch.records[slot] != kPadding) {
            ++counts.at(batch.records[slot]);
            continue;
          }
          ++padding;
          EXPECT_TRUE(batch.labels[slot].empty());
          const auto image = batch.images.begin() + static_cast<long>(slot) * kSize * kSize * 3;
          EXPECT_TRUE(std::all_of(image, image + kSize * kSize * 3, [](int p) { return p == 0; }));
        }
      }
      EXPECT_EQ(loader.next(), nullptr);
    }
    EXPECT_EQ(counts, std::vector<int>(kRecords, 1)) << ranks;
    EXPECT_EQ(padding, 9 * 24 - static_cast<int>(kRecords)) << ranks;
  }
}

TEST_F(LoaderTest, reads_each_record_once_and_only_its_own) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  const auto record_bytes = [&](std::uint64_t first, std::uint64_t last, std::uint64_t end_slot) {
    std::uint64_t bytes = 0;
    for (std::uint64_t n = first; n < last; ++n) {
      for (std::uint64_t slot = 0; slot < end_slot; ++slot) {
        bytes += data.location(order.sample(n, slot).record).bytes;
      }
    }
    return bytes;
  };
  Loader whole(data, order, plan(), options(0, 24));
  all_batches(whole);
  EXPECT_EQ(whole.counters().bytes_read, record_bytes(0, 24, 16));
  EXPECT_EQ(whole.counters().images, 24U * 16);
  EXPECT_EQ(whole.counters().buffered_bytes, 0U);
  EXPECT_EQ(whole.counters().ready_batches, 0U);

  LoaderOptions half = options(7, 17);  // starts and ends within windows
  half.ranks = 2;
  Loader part(data, order, plan(), half);
  all_batches(part);
  EXPECT_EQ(part.counters().bytes_read, record_bytes(7, 17, 8));
}

TEST_F(LoaderTest, keeps_to_its_memory_limit_and_to_one_chunk_of_each_lane_when_that_is_more) {
  const storage::Dataset data = dataset();
  const auto expected = train(data, options(0, 30));
  const TrainOrder order = train_order();
  const auto peak = [&](std::uint64_t limit) {
    LoaderOptions limited = options(0, 30);
    limited.memory_limit = limit;
    Loader loader(data, order, plan(), limited);
    EXPECT_EQ(all_batches(loader), expected) << limit;
    return loader.counters().peak_buffered_bytes;
  };
  const std::uint64_t record = data.bytes() / kRecords;
  EXPECT_LE(peak(150 * record), 150 * record);
  // 4 lanes of 24 records. Where a window ends within a batch, the next is needed beside it.
  EXPECT_LT(peak(1), 2 * 96 * record * 6 / 5);
}

void flip_byte(const std::string& path, std::uint64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(byte ^ 0x10));
  ASSERT_TRUE(file.good());
}

TEST_F(LoaderTest, replaces_bad_records_deterministically_and_names_them) {
  const storage::Dataset data = dataset([](std::vector<test::TestRecord>& records) {
    records[planned(2)].image.assign(3000, std::byte{'x'});
    records[planned(5)].image.resize(records[planned(5)].image.size() / 2);
    records[planned(9)].labels = {static_cast<std::int32_t>(kClasses)};
    records[planned(14)].labels.clear();
  });
  const auto location = [&](std::uint64_t slot) { return data.location(planned(slot)); };
  flip_byte(data.shards()[location(0).shard], location(0).offset + location(0).bytes / 2);
  flip_byte(data.shards()[location(12).shard], location(12).offset + 3);  // of the length

  const auto batches = train(data, options(0, 1));
  const std::vector<BadRecord>& bad = batches.at(0).bad_records;
  const TrainOrder order = train_order();
  for (const std::uint64_t slot : {0U, 2U, 5U, 9U, 12U, 14U}) {
    const std::uint64_t record = planned(slot);
    const auto found = std::ranges::find(bad, record, &BadRecord::record);
    ASSERT_NE(found, bad.end()) << slot;
    EXPECT_EQ(found->batch, 0U);
    EXPECT_EQ(found->file, data.shards()[location(slot).shard]);
    EXPECT_EQ(found->offset, location(slot).offset);
    EXPECT_FALSE(found->reason.empty());
    EXPECT_EQ(found->replacement, batches[0].records[slot]);
    EXPECT_NE(found->replacement, record);
    EXPECT_EQ(batches[0].labels[slot],
              std::vector<std::int32_t>{static_cast<std::int32_t>(found->replacement % kClasses)});
    const bool key_is_known = slot != 0 && slot != 12;
    EXPECT_EQ(found->key, key_is_known ? "image-" + std::to_string(record) : "");
  }
  EXPECT_NE(std::ranges::find(bad, planned(9), &BadRecord::record)->reason.find("label 5"),
            std::string::npos);

  LoaderOptions one = options(0, 1);
  one.decoder_threads = 1;
  const auto again = train(data, one);
  EXPECT_EQ(again, batches);
  ASSERT_EQ(again[0].bad_records.size(), bad.size());
  for (std::size_t i = 0; i < bad.size(); ++i) {
    EXPECT_EQ(again[0].bad_records[i].record, bad[i].record);
    EXPECT_EQ(again[0].bad_records[i].reason, bad[i].reason);
  }
}

TEST_F(LoaderTest, lists_the_bad_records_of_a_whole_chain) {
  const std::uint64_t record = planned(0);
  const TrainOrder order = train_order();
  const std::uint64_t next = order.substitute(record, 0), usable = order.substitute(record, 1);
  const storage::Dataset data = dataset([&](std::vector<test::TestRecord>& records) {
    records[record].image.assign(100, std::byte{0});
    records[next].image.assign(100, std::byte{0});
  });
  const auto batches = train(data, options(0, 1));
  EXPECT_EQ(batches.at(0).records[0], usable);
  ASSERT_GE(batches[0].bad_records.size(), 2U);
  EXPECT_EQ(batches[0].bad_records[0].record, record);
  EXPECT_EQ(batches[0].bad_records[1].record, next);
  EXPECT_EQ(batches[0].bad_records[0].replacement, usable);
  EXPECT_EQ(batches[0].bad_records[1].replacement, usable);
}

TEST_F(LoaderTest, replaces_what_a_shard_cut_short_no_longer_holds) {
  const storage::Dataset data = dataset();
  const auto last = data.location(kRecords - 1);
  std::filesystem::resize_file(data.shards()[2], last.offset + 20);
  const auto batches = train(data, options(0, 24));
  ASSERT_EQ(batches.size(), 24U);
  std::size_t met = 0;
  for (const Copy& batch : batches) {
    EXPECT_EQ(std::ranges::count(batch.records, kRecords - 1), 0);
    for (const BadRecord& bad : batch.bad_records) EXPECT_EQ(bad.record, kRecords - 1);
    met += batch.bad_records.size();
  }
  EXPECT_GT(met, 0U);
}

TEST_F(LoaderTest, does_not_count_bad_records_in_evaluation) {
  const storage::Dataset data = dataset([](std::vector<test::TestRecord>& records) {
    records[30].image.assign(3000, std::byte{'x'});
  });
  const EvaluationOrder order(kRecords, 24);
  Loader loader(data, order, evaluation_plan(20, kSize), options(0, order.batches_per_epoch()));
  const auto batches = all_batches(loader);
  EXPECT_EQ(batches.at(1).records[6], kPadding);
  EXPECT_TRUE(batches[1].labels[6].empty());
  ASSERT_EQ(batches[1].bad_records.size(), 1U);
  EXPECT_EQ(batches[1].bad_records[0].record, 30U);
  EXPECT_EQ(batches[1].bad_records[0].replacement, kPadding);
  EXPECT_EQ(batches[1].bad_records[0].key, "image-30");
  EXPECT_EQ(batches[1].records[7], 31U);
}

TEST_F(LoaderTest, fails_with_the_record_named_when_nothing_can_replace_it) {
  const storage::Dataset data = dataset([](std::vector<test::TestRecord>& records) {
    for (test::TestRecord& record : records) record.image.assign(50, std::byte{'x'});
  });
  const TrainOrder order = train_order();
  LoaderOptions one = options(0, 5);
  one.decoder_threads = 1;
  Loader loader(data, order, plan(), one);
  try {
    loader.next();
    FAIL() << "no error";
  } catch (const storage::DataError& error) {
    const auto location = data.location(planned(0));
    const std::string what = error.what();
    EXPECT_NE(what.find(data.shards()[location.shard]), std::string::npos) << what;
    EXPECT_NE(what.find("record " + std::to_string(planned(0))), std::string::npos) << what;
    EXPECT_NE(what.find("byte " + std::to_string(location.offset)), std::string::npos) << what;
  }
  EXPECT_THROW(loader.next(), storage::DataError);  // a failure stays one, it is never the end
}

TEST_F(LoaderTest, tells_a_shard_that_went_missing_from_the_end_of_the_data) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  std::filesystem::remove(data.shards()[1]);
  Loader loader(data, order, plan(), options(0, 24));
  EXPECT_THROW(all_batches(loader), storage::StorageError);
  EXPECT_THROW(loader.next(), storage::StorageError);
}

TEST_F(LoaderTest, passes_on_what_the_plan_throws) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  const PlanImage broken = [](auto...) -> ImagePlan { throw std::runtime_error("no plan"); };
  Loader loader(data, order, broken, options(0, 24));
  EXPECT_THROW(all_batches(loader), std::runtime_error);
}

TEST_F(LoaderTest, can_be_destroyed_at_any_moment) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  for (std::uint64_t taken = 0; taken < 8; ++taken) {
    LoaderOptions some = options(taken, 1000);
    some.memory_limit = taken % 2 == 0 ? 0 : 1;
    some.prefetch = 1 + static_cast<unsigned>(taken) % 3;
    Loader loader(data, order, plan(), some);
    for (std::uint64_t i = 0; i < taken; ++i) EXPECT_NE(loader.next(), nullptr);
  }
}

TEST_F(LoaderTest, of_no_batches_ends_at_once) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  Loader loader(data, order, plan(), options(7, 7));
  EXPECT_EQ(loader.next(), nullptr);
  EXPECT_EQ(loader.next(), nullptr);
}

TEST_F(LoaderTest, refuses_options_that_do_not_fit) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  const auto refuses = [&](auto change) {
    LoaderOptions changed = options(0, 1);
    change(changed);
    EXPECT_THROW(Loader(data, order, plan(), changed), std::invalid_argument);
  };
  refuses([](auto& options) { options.image_size = 0; });
  refuses([](auto& options) { options.ranks = 3; });
  refuses([](auto& options) { options.rank = 1; });
  refuses([](auto& options) { options.decoder_threads = 0; });
  refuses([](auto& options) { options.reader_threads = 0; });
  refuses([](auto& options) { options.prefetch = 0; });
  refuses([](auto& options) { options.first_batch = 2; });
  EXPECT_THROW(evaluation_plan(kSize - 1, kSize), std::invalid_argument);
}

}  // namespace
}  // namespace bit::pipeline
