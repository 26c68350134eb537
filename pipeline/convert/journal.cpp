// A file of an entry: CRC-32C of the rest, four bytes little-endian; the message.
#include "pipeline/convert/journal.h"

#include <cstring>

#include "storage/crc32c.h"

namespace bit::pipeline {

Journal::Journal(storage::FileSystem& files, const std::string& staging)
    : files_(files), directory_(staging + "/journal") {}

std::string Journal::path(std::uint32_t shard) const {
  return directory_ + "/" + std::to_string(shard);
}

void Journal::write(std::uint32_t shard, const schemas::ConvertedShard& entry) {
  std::string content(sizeof(std::uint32_t), '\0');
  entry.AppendToString(&content);
  const std::uint32_t crc = storage::crc32c(std::as_bytes(std::span(content)).subspan(sizeof(crc)));
  std::memcpy(content.data(), &crc, sizeof(crc));
  storage::write_file_atomically(files_, path(shard), content);
}

std::optional<schemas::ConvertedShard> Journal::read(std::uint32_t shard) const {
  if (!files_.exists(path(shard))) return std::nullopt;
  const std::string content = storage::read_file(files_, path(shard));
  std::uint32_t crc = 0;
  if (content.size() < sizeof(crc)) return std::nullopt;
  std::memcpy(&crc, content.data(), sizeof(crc));
  const auto message = std::span(content).subspan(sizeof(crc));
  schemas::ConvertedShard entry;
  if (storage::crc32c(std::as_bytes(message)) != crc ||
      !entry.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return std::nullopt;
  }
  return entry;
}

}  // namespace bit::pipeline
