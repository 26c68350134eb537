#include "pipeline/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "tests/unit/pipeline/loader_fixture.h"

namespace bit::pipeline {
namespace {

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

TEST_F(LoaderTest, drops_what_it_read_from_the_page_cache_when_asked_or_when_memory_is_too_small) {
  const storage::Dataset data = dataset();
  const TrainOrder order = train_order();
  const auto expected = train(data, options(0, 12));
  for (const std::optional<bool> drop : {std::optional<bool>(), {false}, {true}}) {
    LoaderOptions dropping = options(0, 12);
    dropping.drop_cache = drop;
    Loader loader(data, order, plan(), dropping);
    EXPECT_EQ(all_batches(loader), expected);
    const LoaderCounters counters = loader.counters();
    EXPECT_EQ(counters.bytes_dropped, drop.value_or(false) ? counters.bytes_read : 0U);
  }
}

// The first batch takes 18 MB side by side, more than is read at once: bytes behind an image's end
// do not change it.
TEST_F(LoaderTest, gives_the_same_images_when_a_chunk_takes_several_reads) {
  const EvaluationOrder order(kRecords, 24);
  const auto evaluate = [&](const storage::Dataset& data) {
    Loader loader(data, order, evaluation_plan(20, kSize), options(0, 2));
    auto batches = all_batches(loader);
    EXPECT_GE(loader.counters().bytes_read, data.location(30).offset);
    return batches;
  };
  const auto expected = evaluate(dataset());
  const auto padded = evaluate(dataset([](auto& records) {
    for (std::size_t i = 0; i < 24; ++i) records[i].image.resize(750'000);
  }));
  EXPECT_EQ(padded, expected);
  EXPECT_TRUE(padded.front().bad_records.empty());
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
