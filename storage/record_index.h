// The binary index of a split: for each record its shard, offset, size, labels, image size, key
// hash and checksum, in columns that are used as they lie in the mapped file. Layout in
// docs/formats.md. File name: <name>-<split>.index.
#pragma once

#include <cstddef>
#include <cstdint>
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

// Collects records in order and writes the index. Columns in memory: about 40 bytes a record.
class RecordIndexBuilder {
 public:
  // Shards are begun in order; records belong to the last one begun.
  void begin_shard(std::string file);
  // offset: of the record's first framing byte; bytes: framing included; crc: of the data, as
  // stored (masked).
  void add(std::uint64_t offset, std::uint64_t bytes, std::span<const std::int32_t> labels,
           std::uint32_t width, std::uint32_t height, std::uint64_t key_hash,
           std::uint32_t masked_crc);
  void end_shard(std::uint64_t file_bytes);
  std::uint64_t records() const;
  // Durable and atomic. Throws StorageError.
  void write(FileSystem& files, const std::string& path) const;

 private:
  std::vector<IndexedShard> shards_;
  std::vector<std::uint64_t> offsets_;  // of each record in its shard
  std::vector<std::uint32_t> bytes_;
  std::vector<std::uint64_t> label_ends_;
  std::vector<std::int32_t> labels_;
  std::vector<std::uint32_t> sizes_;  // width << 16 | height
  std::vector<std::uint64_t> key_hashes_;
  std::vector<std::uint32_t> crcs_;
};

// A mapped index. Immutable; any thread.
class RecordIndex {
 public:
  // Checks the header, its checksum, the column bounds and the total size. Throws StorageError;
  // DataError "<path>: <reason>".
  static RecordIndex open(const std::string& path);

  std::uint64_t records() const;
  const std::vector<IndexedShard>& shards() const;
  std::uint32_t shard_of(std::uint64_t record) const;  // O(log shards)
  std::uint64_t first_record(std::uint32_t shard) const;
  std::uint64_t offset(std::uint64_t record) const;
  std::uint64_t bytes(std::uint64_t record) const;  // framing included
  std::span<const std::int32_t> labels(std::uint64_t record) const;
  std::uint32_t width(std::uint64_t record) const;
  std::uint32_t height(std::uint64_t record) const;
  std::uint64_t key_hash(std::uint64_t record) const;
  std::uint32_t masked_crc(std::uint64_t record) const;
  std::int32_t label_min() const;
  std::int32_t label_max() const;
  std::uint64_t classes_seen() const;  // distinct labels
  std::uint64_t content_hash() const;  // 64-bit hash of the whole index but its header

 private:
  MappedFile file_;
  std::vector<IndexedShard> shards_;
  std::vector<std::uint64_t> first_records_;
};

}  // namespace bit::storage
