#include "pipeline/convert/shard_writer.h"

#include <utility>

#include "storage/dataset_manifest.h"
#include "storage/index_shards.h"

namespace bit::pipeline {

ShardWriter::ShardWriter(storage::FileSystem& files, std::string directory, std::string file_name)
    : files_(files),
      directory_(std::move(directory)),
      file_name_(std::move(file_name)),
      temporary_(directory_ + "/" + file_name_ + ".tmp"),
      file_(files_.create(temporary_)),
      records_(*file_) {}

ShardWriter::Place ShardWriter::append(std::span<const std::byte> record) {
  Place place;
  place.offset = records_.append(record);
  place.bytes = record.size() + storage::kRecordFramingBytes;
  place.masked_crc = records_.last_masked_crc();
  sidecar_ += storage::sidecar_line(place.offset, place.bytes);
  return place;
}

schemas::DatasetManifest::Shard ShardWriter::finish() {
  file_->sync();
  file_->close();
  files_.rename(temporary_, directory_ + "/" + file_name_);
  // Syncs the directory, and so both names.
  storage::write_file_atomically(files_, directory_ + "/" + storage::sidecar_file_name(file_name_),
                                 sidecar_);

  schemas::DatasetManifest::Shard shard;
  shard.set_file(file_name_);
  shard.set_records(records_.records());
  shard.set_bytes(records_.bytes());
  shard.set_crc32c(records_.crc32c());
  return shard;
}

}  // namespace bit::pipeline
