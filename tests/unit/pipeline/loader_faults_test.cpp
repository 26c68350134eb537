// What the loader does with records that cannot be used, and with failures.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "storage/tfrecord.h"
#include "tests/unit/pipeline/loader_fixture.h"

namespace bit::pipeline {
namespace {

using LoaderFaultsTest = LoaderTest;

void flip_byte(const std::string& path, std::uint64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(byte ^ 0x10));
  ASSERT_TRUE(file.good());
}

TEST_F(LoaderFaultsTest, replaces_bad_records_deterministically_and_names_them) {
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

TEST_F(LoaderFaultsTest, lists_the_bad_records_of_a_whole_chain) {
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

TEST_F(LoaderFaultsTest, replaces_what_a_shard_cut_short_no_longer_holds) {
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

TEST_F(LoaderFaultsTest, does_not_count_bad_records_in_evaluation) {
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

TEST_F(LoaderFaultsTest, fails_with_the_record_named_when_nothing_can_replace_it) {
  const storage::Dataset data = dataset([](std::vector<test::TestRecord>& records) {
    for (test::TestRecord& record : records) record.image.assign(50, std::byte{'x'});
  });
  const TrainOrder order = train_order();
  Loader loader(data, order, plan(), options(0, 5));
  try {
    loader.next();
    FAIL() << "no error";
  } catch (const storage::DataError& error) {
    const std::string what = error.what();
    const auto is_named = [&](std::uint64_t record) {
      const auto location = data.location(record);
      return what.starts_with(data.shards()[location.shard] + ": record " + std::to_string(record) +
                              " at byte " + std::to_string(location.offset) + ": ");
    };
    int named = 0;
    for (std::uint64_t record = 0; record < kRecords; ++record) named += is_named(record) ? 1 : 0;
    EXPECT_EQ(named, 1) << what;
  }
  EXPECT_THROW(loader.next(), storage::DataError);  // a failure stays one, it is never the end
}

TEST_F(LoaderFaultsTest, tells_a_shard_that_went_missing_from_the_end_of_the_data) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  std::filesystem::remove(data.shards()[1]);
  Loader loader(data, order, plan(), options(0, 24));
  EXPECT_THROW(all_batches(loader), storage::StorageError);
  EXPECT_THROW(loader.next(), storage::StorageError);
}

TEST_F(LoaderFaultsTest, passes_on_what_the_plan_throws) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  const PlanImage broken = [](auto...) -> ImagePlan { throw std::runtime_error("no plan"); };
  Loader loader(data, order, broken, options(0, 24));
  EXPECT_THROW(all_batches(loader), std::runtime_error);
}

}  // namespace
}  // namespace bit::pipeline
