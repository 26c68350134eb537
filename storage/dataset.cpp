// A split: dataset.json says which shards, the index says where the records are, and both are held
// against the files.
#include "storage/dataset.h"

#include <mutex>
#include <utility>

#include "storage/dataset_manifest.h"
#include "storage/hash64.h"
#include "storage/record_index.h"

namespace bit::storage {

struct Dataset::Impl {
  // A shard's file, opened by the first thread that wants it. A failed opening is tried again.
  struct Shard {
    std::mutex mutex;
    std::unique_ptr<ReadableFile> file;
  };

  std::string directory;
  std::string split;
  RecordIndex index;
  std::vector<std::string> class_names;
  std::vector<std::string> paths;
  std::uint64_t bytes = 0;
  std::uint32_t classes = 0;
  std::unique_ptr<Shard[]> shards;
};

namespace {

const schemas::DatasetManifest::Split& known_split(const schemas::DatasetManifest& manifest,
                                                   const std::string& directory,
                                                   const std::string& split) {
  if (const auto* entry = find_split(manifest, split)) return *entry;
  std::string names;
  for (const auto& entry : manifest.splits()) {
    names += (names.empty() ? "" : ", ") + entry.name();
  }
  throw DataError(directory + ": no split '" + split +
                  "'; there are: " + (names.empty() ? "none" : names));
}

// The index is the one that dataset.json was written with, or else names the same shards.
void check_fresh(const std::string& index_path, const RecordIndex& index,
                 const schemas::DatasetManifest::Split& split) {
  bool same = index.shards().size() == static_cast<std::size_t>(split.shards_size());
  for (int i = 0; same && i < split.shards_size(); ++i) {
    const IndexedShard& indexed = index.shards()[static_cast<std::size_t>(i)];
    const auto& listed = split.shards(i);
    same = indexed.file == listed.file() && indexed.bytes == listed.bytes() &&
           indexed.records == listed.records();
  }
  if (!same) {
    throw DataError(index_path + ": stale: its shards are not those of dataset.json; " +
                    "`bit-shard index` writes it anew");
  }
  if (!is_index_of(index, split)) {
    throw DataError(index_path + ": stale or of another dataset: its content hash is " +
                    hash_digits(index.content_hash()) + ", dataset.json says " +
                    split.index_hash() + "; `bit-shard index` writes both anew");
  }
}

// The shards lie there with the sizes they were indexed with.
void check_complete(FileSystem& files, const std::string& split, const RecordIndex& index,
                    const std::vector<std::string>& paths) {
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const std::string shard = "shard " + std::to_string(i + 1) + " of " +
                              std::to_string(paths.size()) + " of split '" + split + "'";
    if (!files.exists(paths[i])) {
      throw DataError(paths[i] + ": missing; it is " + shard);
    }
    const std::uint64_t bytes = files.file_size(paths[i]);
    if (bytes != index.shards()[i].bytes) {
      throw DataError(paths[i] + ": holds " + std::to_string(bytes) + " bytes, but " +
                      std::to_string(index.shards()[i].bytes) + " when it was indexed; it is " +
                      shard);
    }
  }
}

}  // namespace

Dataset Dataset::open(const std::string& directory, const std::string& split) {
  FileSystem& files = posix_file_system();
  const schemas::DatasetManifest manifest = read_manifest(files, directory);
  const auto& entry = known_split(manifest, directory, split);
  const std::string index_path = directory + "/" + index_file_name(manifest.name(), split);
  RecordIndex index = RecordIndex::open(index_path);
  check_fresh(index_path, index, entry);

  auto impl = std::make_unique<Impl>(
      Impl{.directory = directory,
           .split = split,
           .index = std::move(index),
           .class_names = {manifest.class_names().begin(), manifest.class_names().end()},
           .paths = {},
           .bytes = 0,
           .classes = 0,
           .shards = nullptr});
  for (const IndexedShard& shard : impl->index.shards()) {
    impl->paths.push_back(directory + "/" + shard.file);
    impl->bytes += shard.bytes;
  }
  check_complete(files, split, impl->index, impl->paths);
  const auto labels_reach = static_cast<std::uint32_t>(impl->index.label_max() + 1);
  impl->classes = impl->class_names.empty() ? labels_reach
                                            : static_cast<std::uint32_t>(impl->class_names.size());
  if (labels_reach > impl->classes) {
    throw DataError(index_path + ": labels reach " + std::to_string(impl->index.label_max()) +
                    ", but dataset.json names " + std::to_string(impl->classes) + " classes");
  }
  impl->shards = std::make_unique<Impl::Shard[]>(impl->paths.size());
  return Dataset(std::move(impl));
}

Dataset::Dataset(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;
Dataset::~Dataset() = default;

const std::string& Dataset::directory() const { return impl_->directory; }
const std::string& Dataset::split() const { return impl_->split; }
std::uint64_t Dataset::records() const { return impl_->index.records(); }
std::uint64_t Dataset::bytes() const { return impl_->bytes; }
std::uint32_t Dataset::classes() const { return impl_->classes; }
const std::vector<std::string>& Dataset::class_names() const { return impl_->class_names; }
const std::vector<std::string>& Dataset::shards() const { return impl_->paths; }

RecordLocation Dataset::location(std::uint64_t record) const {
  const RecordIndex& index = impl_->index;
  return {index.shard_of(record), index.offset(record), index.bytes(record)};
}

std::span<const std::int32_t> Dataset::labels(std::uint64_t record) const {
  return impl_->index.labels(record);
}
std::uint32_t Dataset::width(std::uint64_t record) const { return impl_->index.width(record); }
std::uint32_t Dataset::height(std::uint64_t record) const { return impl_->index.height(record); }

const ReadableFile& Dataset::shard_file(std::uint32_t shard) const {
  Impl::Shard& entry = impl_->shards[shard];
  const std::lock_guard lock(entry.mutex);
  if (entry.file == nullptr) entry.file = posix_file_system().open(impl_->paths[shard]);
  return *entry.file;
}

std::string Dataset::hash() const {
  Hash64 hash;
  hash.add(impl_->index.content_hash());  // shard names, sizes, locations, labels
  hash.add(static_cast<std::uint64_t>(impl_->class_names.size()));
  for (const std::string& name : impl_->class_names) hash.add(name);
  return hash_digits(hash.value());
}

}  // namespace bit::storage
