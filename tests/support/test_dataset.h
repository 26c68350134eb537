// Small datasets of shards, index and dataset.json for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bit::test {

struct TestRecord {
  std::vector<std::byte> image;  // any bytes
  std::vector<std::int32_t> labels;
  std::string key;
};

// JPEGs of different sizes around 40 pixels; record i is labelled i mod classes and has the key
// "image-<i>".
std::vector<TestRecord> test_records(std::uint64_t count, std::uint32_t classes);

// Writes split `split` of the dataset `test` into `directory`, records spread evenly over `shards`
// files in their order. The index takes only labels below `classes`, so that a record with a wrong
// one can be written.
void write_test_dataset(const std::string& directory, const std::string& split,
                        std::span<const TestRecord> records, std::uint32_t shards,
                        std::uint32_t classes);

}  // namespace bit::test
