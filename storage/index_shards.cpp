// One pass over TFRecord files: verify, parse, index.
#include "storage/index_shards.h"

#include "storage/crc32c.h"
#include "storage/dataset_manifest.h"
#include "storage/example.h"
#include "storage/hash64.h"
#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

// A file that is read once from start to end, with the checksum of what was read so far.
class ChecksummedFile final : public ReadableFile {
 public:
  explicit ChecksummedFile(const ReadableFile& file) : file_(file) {}
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    const std::size_t count = file_.read_at(offset, out);
    crc_ = storage::crc32c(out.first(count), crc_);
    return count;
  }
  std::uint64_t size() const override { return file_.size(); }
  const std::string& path() const override { return file_.path(); }
  void will_need(std::uint64_t offset, std::uint64_t bytes) const override {
    file_.will_need(offset, bytes);
  }
  std::uint32_t crc32c() const { return crc_; }

 private:
  const ReadableFile& file_;
  mutable std::uint32_t crc_ = 0;
};

void index_record(const RecordReader::Record& record, const std::string& path,
                  IndexSummary& summary) {
  if (record.fault) {
    throw record_error(path, record.index, record.offset, describe(*record.fault));
  }
  try {
    const ImageExample image = parse_image_example(record.data);
    summary.index.add(record.offset, record.data.size() + kRecordFramingBytes, image.labels,
                      image.width, image.height, hash_text(image.key), record.masked_crc);
    if (image.labels.empty()) ++summary.unlabelled;
  } catch (const DataError& error) {
    throw record_error(path, record.index, record.offset, error.what());
  }
}

// Returns the shard's entry for the manifest.
schemas::DatasetManifest::Shard index_shard(FileSystem& files, const std::string& path,
                                            const IndexOptions& options, IndexSummary& summary,
                                            const std::function<void(std::uint64_t)>& progress) {
  const auto file = files.open(path);
  const ChecksummedFile checksummed(*file);
  RecordReader reader(checksummed);
  std::string sidecar;
  std::uint64_t records = 0;
  std::uint64_t end = 0;
  while (const auto record = reader.next()) {
    index_record(*record, path, summary);
    const std::uint64_t bytes = record->data.size() + kRecordFramingBytes;
    if (options.write_sidecars) sidecar += sidecar_line(record->offset, bytes);
    ++records;
    end = record->offset + bytes;
    progress(end);
  }
  if (options.write_sidecars) write_file_atomically(files, sidecar_file_name(path), sidecar);
  schemas::DatasetManifest::Shard shard;
  shard.set_records(records);
  shard.set_bytes(end);
  shard.set_crc32c(checksummed.crc32c());
  return shard;
}

}  // namespace

IndexSummary index_shards(FileSystem& files, const std::string& directory, const std::string& split,
                          std::span<const std::string> shards, const IndexOptions& options,
                          const IndexProgress& progress) {
  IndexSummary summary;
  summary.split.set_name(split);
  std::uint64_t total = 0;
  for (const std::string& name : shards) total += files.file_size(directory + "/" + name);
  for (const std::string& name : shards) {
    summary.index.begin_shard(name);
    auto shard =
        index_shard(files, directory + "/" + name, options, summary, [&](std::uint64_t bytes) {
          if (progress) progress(summary.bytes + bytes, total);
        });
    summary.index.end_shard(shard.bytes());
    summary.bytes += shard.bytes();
    shard.set_file(name);
    *summary.split.add_shards() = std::move(shard);
  }
  summary.split.set_records(summary.index.records());
  summary.labels = summary.index.label_statistics();
  summary.split.set_max_labels(summary.labels.most);
  return summary;
}

std::string sidecar_line(std::uint64_t offset, std::uint64_t bytes) {
  return std::to_string(offset) + " " + std::to_string(bytes) + "\n";
}

}  // namespace bit::storage
