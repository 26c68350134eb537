// The binary index of a split: for each record its shard, offset, size, labels, image size, key
// hash and checksum, in columns that are used as they lie in the mapped file. Layout in
// docs/formats.md. File name: <name>-<split>.index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/file.h"

namespace bit::storage {

struct IndexedShard {
  std::string file;  // name, relative to the dataset's directory
  // size of the file when it was indexed: a different size means a stale index
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
};

struct LabelStatistics {
  std::int32_t min = 0;    // 0 when there are no labels
  std::int32_t max = -1;   // -1 when there are no labels
  std::uint64_t seen = 0;  // distinct labels
  std::uint32_t most = 0;  // of one record
};

// Collects records in order and writes the index. Columns in memory: about 40 bytes a record.
class RecordIndexBuilder {
 public:
  // Shards are begun in order; records belong to the last one begun.
  void begin_shard(std::string file);
  // Throws std::invalid_argument for a negative label. Sides above 65535 pixels are stored as
  // unknown. offset: of the record's first framing byte; bytes: framing included; crc: of the data,
  // as stored (masked).
  void add(std::uint64_t offset, std::uint64_t bytes, std::span<const std::int32_t> labels,
           std::uint32_t width, std::uint32_t height, std::uint64_t key_hash,
           std::uint32_t masked_crc);
  void end_shard(std::uint64_t file_bytes);
  std::uint64_t records() const;
  std::span<const IndexedShard> shards() const { return shards_; }
  LabelStatistics label_statistics() const;  // of all records so far
  // Durable and atomic. Returns the content hash as dataset.json has it (Split.index_hash). Throws
  // StorageError.
  std::string write(FileSystem& files, const std::string& path) const;

 private:
  std::vector<IndexedShard> shards_;
  std::vector<std::uint64_t> offsets_;  // of each record in its shard
  std::vector<std::uint32_t> bytes_;
  std::vector<std::uint64_t> label_ends_;
  std::vector<std::int32_t> labels_;
  std::vector<std::uint32_t> sizes_;  // width << 16 | height
  std::vector<std::uint64_t> key_hashes_;
  std::vector<std::uint32_t> crcs_;
  bool open_ = false;  // between begin_shard and end_shard
};

// A mapped index. Immutable; any thread. `record` is below records(), `shard` below
// shards().size().
class RecordIndex {
 public:
  // Checks the header, its checksum, the shards and the total size. Throws StorageError; DataError
  // "<path>: <reason>".
  static RecordIndex open(const std::string& path);
  // The same for the bytes of an index, 8-byte aligned, that outlive the result. Throws DataError
  // with the reason alone.
  static RecordIndex parse(std::span<const std::byte> file);
  // Reads the whole index and compares it with its hash. Throws DataError.
  void verify() const;

  std::uint64_t records() const { return offsets_.size(); }
  const std::vector<IndexedShard>& shards() const { return shards_; }
  std::uint32_t shard_of(std::uint64_t record) const;  // O(log shards)
  std::uint64_t first_record(std::uint32_t shard) const { return first_records_[shard]; }
  std::uint64_t offset(std::uint64_t record) const { return offsets_[record]; }
  // Of all records of a shard.
  std::span<const std::uint64_t> offsets(std::uint32_t shard) const {
    return offsets_.subspan(first_record(shard), shards_[shard].records);
  }
  std::uint64_t bytes(std::uint64_t record) const { return bytes_[record]; }  // framing included
  // Throws DataError when the index is damaged there.
  std::span<const std::int32_t> labels(std::uint64_t record) const;
  // Pixels; 0 if unknown or above 65535.
  std::uint32_t width(std::uint64_t record) const { return sizes_[record] >> 16; }
  std::uint32_t height(std::uint64_t record) const { return sizes_[record] & 0xFFFF; }
  std::uint64_t key_hash(std::uint64_t record) const { return key_hashes_[record]; }
  std::uint32_t masked_crc(std::uint64_t record) const { return crcs_[record]; }
  std::int32_t label_min() const { return label_min_; }         // 0 when there are no labels
  std::int32_t label_max() const { return label_max_; }         // -1 when there are no labels
  std::uint64_t classes_seen() const { return classes_seen_; }  // distinct labels
  std::uint64_t content_hash() const { return content_hash_; }  // of the whole index but its header

 private:
  RecordIndex() = default;

  std::string path_ = "index";
  std::optional<MappedFile> file_;
  std::vector<IndexedShard> shards_;
  std::vector<std::uint64_t> first_records_;  // [shards + 1]
  // Columns, where they lie in the file.
  std::span<const std::byte> words_;  // all of them
  std::span<const std::uint64_t> offsets_, label_ends_, key_hashes_;
  std::span<const std::uint32_t> bytes_, sizes_, crcs_;
  std::span<const std::int32_t> labels_;
  std::uint64_t content_hash_ = 0;
  std::uint64_t classes_seen_ = 0;
  std::int32_t label_min_ = 0;
  std::int32_t label_max_ = -1;
};

}  // namespace bit::storage
