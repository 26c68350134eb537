// The journal of a conversion: an entry for each shard that is done, each a small file of its own,
// so that ranks on several machines write it without meeting. An entry is written after its shard
// lies whole under its name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schemas/conversion.pb.h"
#include "storage/file.h"

namespace bit::pipeline {

// All methods throw storage::StorageError. Different shards may be written at once.
class Journal {
 public:
  // In `staging`/journal; `files` must outlive the journal.
  Journal(storage::FileSystem& files, const std::string& staging);
  // Durable when it returns.
  void write(std::uint32_t shard, const schemas::ConvertedShard& entry);
  // Nothing when the shard is not done, or its entry is damaged.
  std::optional<schemas::ConvertedShard> read(std::uint32_t shard) const;

 private:
  std::string path(std::uint32_t shard) const;

  storage::FileSystem& files_;
  const std::string directory_;
};

}  // namespace bit::pipeline
