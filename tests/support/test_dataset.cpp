// Datasets for tests; see test_dataset.h.
#include "tests/support/test_dataset.h"

#include "storage/dataset_manifest.h"
#include "storage/example.h"
#include "storage/file.h"
#include "storage/record_index.h"
#include "storage/tfrecord.h"
#include "tests/support/jpeg_writer.h"

namespace bit::test {

std::vector<TestRecord> test_records(std::uint64_t count, std::uint32_t classes) {
  std::vector<TestRecord> records(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t width = 32 + i % 17, height = 30 + i % 13;
    records[i].image = write_jpeg(test_picture(width, height, 3, i + 1), width, height);
    records[i].labels = {static_cast<std::int32_t>(i % classes)};
    records[i].key = "image-" + std::to_string(i);
  }
  return records;
}

void write_test_dataset(const std::string& directory, const std::string& split,
                        std::span<const TestRecord> records, std::uint32_t shards,
                        std::uint32_t classes) {
  storage::FileSystem& files = storage::posix_file_system();
  schemas::DatasetManifest manifest;
  manifest.set_name("test");
  for (std::uint32_t i = 0; i < classes; ++i) manifest.add_class_names(std::to_string(i));
  auto& entry = *manifest.add_splits();
  entry.set_name(split);
  entry.set_records(records.size());

  storage::RecordIndexBuilder index;
  for (std::uint32_t shard = 0; shard < shards; ++shard) {
    const std::string name = storage::shard_file_name("test", split, shard, shards);
    const auto file = files.create(directory + "/" + name);
    storage::RecordWriter writer(*file);
    index.begin_shard(name);
    const std::size_t end = records.size() * (shard + 1) / shards;
    for (std::size_t i = records.size() * shard / shards; i < end; ++i) {
      const TestRecord& record = records[i];
      const std::string data = storage::serialize_image_example(
          {.encoded = record.image, .labels = record.labels, .key = record.key}, "");
      std::vector<std::int32_t> labels;
      for (const std::int32_t label : record.labels) {
        if (static_cast<std::uint32_t>(label) < classes) labels.push_back(label);
      }
      const std::uint64_t offset = writer.append(std::as_bytes(std::span(data)));
      index.add(offset, data.size() + storage::kRecordFramingBytes, labels, 0, 0, i, 0);
    }
    file->close();
    index.end_shard(writer.bytes());
    auto& listed = *entry.add_shards();
    listed.set_file(name);
    listed.set_records(writer.records());
    listed.set_bytes(writer.bytes());
  }
  entry.set_index_hash(
      index.write(files, directory + "/" + storage::index_file_name("test", split)));
  storage::write_manifest(files, directory, manifest);
}

}  // namespace bit::test
