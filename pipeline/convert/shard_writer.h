// One shard being written: the TFRecord file and its sidecar, a text line `<offset> <bytes>` for
// each record, as DALI's tfrecord2idx writes it (bytes with framing).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "schemas/dataset.pb.h"
#include "storage/file.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {

// All methods throw storage::StorageError. One thread.
class ShardWriter {
 public:
  // Writes `directory`/`file_name` under a temporary name.
  ShardWriter(storage::FileSystem& files, std::string directory, std::string file_name);

  struct Place {
    std::uint64_t offset = 0;      // of the record's first framing byte
    std::uint64_t bytes = 0;       // framing included
    std::uint32_t masked_crc = 0;  // of the data
  };
  Place append(std::span<const std::byte> record);
  // Writes the sidecar; both files are on stable storage under their names when it returns.
  schemas::DatasetManifest::Shard finish();
  std::uint64_t bytes() const { return records_.bytes(); }

 private:
  storage::FileSystem& files_;
  std::string directory_;
  std::string file_name_;
  std::string temporary_;
  std::unique_ptr<storage::WritableFile> file_;
  storage::RecordWriter records_;
  std::string sidecar_;
};

}  // namespace bit::pipeline
