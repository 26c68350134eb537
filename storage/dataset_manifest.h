// dataset.json: what is in a directory of shards, and how its files are named.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schemas/dataset.pb.h"
#include "storage/file.h"
#include "storage/record_index.h"

namespace bit::storage {

// Throws StorageError; DataError when the directory has no dataset.json or the file is not one.
schemas::DatasetManifest read_manifest(FileSystem& files, const std::string& directory);
// Durable and atomic. Throws StorageError.
void write_manifest(FileSystem& files, const std::string& directory,
                    const schemas::DatasetManifest& manifest);

// The entry of `split`, nullptr when there is none.
const schemas::DatasetManifest::Split* find_split(const schemas::DatasetManifest& manifest,
                                                  std::string_view split);
// Puts `split` in the place of the entry of that name, or at the end.
void replace_split(schemas::DatasetManifest& manifest, schemas::DatasetManifest::Split split);

// Whether `index` is the one that the split's entry was written with; also when the entry, an older
// one, does not say.
bool is_index_of(const RecordIndex& index, const schemas::DatasetManifest::Split& split);

// "NAME-SPLIT.tfrecord-00000-of-00016"; shard counts from 0.
std::string shard_file_name(std::string_view name, std::string_view split, std::uint32_t shard,
                            std::uint32_t shards);
// "NAME-SPLIT.index"
std::string index_file_name(std::string_view name, std::string_view split);
// "<shard>.idx": the text sidecar of a shard.
std::string sidecar_file_name(std::string_view shard);

}  // namespace bit::storage
