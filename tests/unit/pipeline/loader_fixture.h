// A small dataset, an order over it, and batches that outlive their slots: for the tests of the
// loader.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "pipeline/loader.h"
#include "tests/support/temp_directory.h"
#include "tests/support/test_dataset.h"

namespace bit::pipeline {

inline constexpr std::uint64_t kRecords = 203;
inline constexpr std::uint32_t kClasses = 5;
inline constexpr std::uint32_t kSize = 16;  // pixels

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

inline Copy copy(const Batch& batch) {
  return {batch.number,
          batch.epoch,
          {batch.images.begin(), batch.images.end()},
          {batch.records.begin(), batch.records.end()},
          {batch.labels.begin(), batch.labels.end()},
          {batch.bad_records.begin(), batch.bad_records.end()}};
}

inline std::vector<Copy> all_batches(Loader& loader) {
  std::vector<Copy> batches;
  while (const Batch* batch = loader.next()) batches.push_back(copy(*batch));
  return batches;
}

inline TrainOrder train_order() {
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
inline std::uint64_t planned(std::uint64_t slot) { return train_order().sample(0, slot).record; }

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

}  // namespace bit::pipeline
