#include "pipeline/convert/verify_split.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "pipeline/convert/duplicates.h"
#include "pipeline/convert/normalize_image.h"
#include "pipeline/convert/ordered_window.h"
#include "pipeline/jpeg.h"
#include "storage/crc32c.h"
#include "storage/dataset_manifest.h"
#include "storage/example.h"
#include "storage/hash64.h"
#include "storage/index_shards.h"
#include "storage/record_index.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

using storage::RecordIndex;

constexpr std::size_t kShownDuplicates = 5;

// Where a record is, as one number: shard << 32 | record in the shard.
using RecordPlace = std::uint64_t;

struct HashedRecord {
  RecordPlace place = 0;
  ContentHash hash;
};

// The key of the record at `offset`, damaged or not, as far as its bytes still tell it; else empty.
std::string key_of(const storage::ReadableFile& file, std::uint64_t offset, std::uint64_t bytes) {
  try {
    std::vector<std::byte> framed(std::min(bytes, storage::kMaxRecordBytes));
    framed.resize(file.read_at(offset, framed));
    const auto record = storage::parse_record(framed, /*verify_data=*/false);
    return std::string(storage::parse_image_example(record.data).key);
  } catch (const storage::DataError&) {
    return "";
  }
}

struct ShardReport {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::vector<SplitProblem> problems;
  std::vector<HashedRecord> keys, pixels;  // of the good records
};

// One shard, read once from start to end.
class ShardCheck {
 public:
  // `index` and `decoder` may be null: then they are not asked. `converted`: the split was written
  // by a conversion, which leaves nothing out.
  ShardCheck(std::string path, const RecordIndex* index, std::uint32_t shard, bool converted,
             std::int32_t classes, JpegDecoder* decoder)
      : path_(std::move(path)),
        index_(index),
        shard_(shard),
        converted_(converted),
        classes_(classes),
        decoder_(decoder) {}

  ShardReport run(storage::FileSystem& files, const schemas::DatasetManifest::Shard& listed) {
    if (!files.exists(path_)) {
      problem("missing");
      return std::move(report_);
    }
    const auto file = files.open(path_);
    report_.bytes = file->size();
    if (file->size() != listed.bytes()) {
      problem("holds " + std::to_string(file->size()) + " bytes, dataset.json says " +
              std::to_string(listed.bytes()));
    }
    check_records(*file);
    if (report_.records != listed.records()) {
      problem("holds " + std::to_string(report_.records) + " whole records, dataset.json says " +
              std::to_string(listed.records()));
    }
    // With a fault in a record the checksum of the file says nothing new.
    if (report_.problems.empty() && file_crc32c(*file) != listed.crc32c()) {
      problem("its checksum is not the one in dataset.json");
    }
    check_sidecar(files);
    return std::move(report_);
  }

 private:
  void problem(std::string reason) {
    report_.problems.push_back({path_, std::nullopt, std::nullopt, std::move(reason)});
  }

  void check_records(const storage::ReadableFile& file) {
    std::span<const std::uint64_t> known;
    if (index_ != nullptr) known = index_->offsets(shard_);
    storage::RecordReader reader(file, known);
    while (const auto record = reader.next()) check_record(file, *record);
    const auto beyond = std::ranges::lower_bound(known, file.size());
    if (beyond == known.end()) return;
    const auto first = static_cast<std::uint64_t>(beyond - known.begin());
    report_.problems.push_back({path_, first, *beyond,
                                "lies beyond the end of the file, like all " +
                                    std::to_string(known.size() - first) + " from it on"});
  }

  // Whether `offset` lies behind the last record that the index knows.
  bool is_behind_the_last(std::uint64_t offset) const {
    if (index_ == nullptr) return false;
    const std::uint64_t records = index_->shards()[shard_].records;
    if (records == 0) return true;
    const std::uint64_t last = index_->first_record(shard_) + records - 1;
    return offset >= index_->offset(last) + index_->bytes(last);
  }

  void check_record(const storage::ReadableFile& file,
                    const storage::RecordReader::Record& record) {
    std::string key;
    const auto bad = [&](std::string reason) {
      std::optional<std::uint64_t> number = record.index;
      if (is_behind_the_last(record.offset)) {
        number.reset();
        reason = "behind the last record: " + reason;
      }
      report_.problems.push_back({path_, number, record.offset, std::move(reason), key});
    };
    if (record.fault) {
      key = key_of(file, record.offset, record.bytes);
      bad(storage::describe(record));
      sidecar_known_ = false;
      // After any other fault there is no record.
      if (*record.fault == storage::RecordFault::kDataChecksum) ++report_.records;
      return;
    }
    ++report_.records;
    const std::uint64_t bytes = record.data.size() + storage::kRecordFramingBytes;
    sidecar_ += storage::sidecar_line(record.offset, bytes);
    try {
      const storage::ImageExample image = storage::parse_image_example(record.data);
      key = image.key;
      const RecordPlace place = std::uint64_t{shard_} << 32 | record.index;
      if (!key.empty()) report_.keys.push_back({place, {storage::hash_text(key), 0}});
      const bool unknown_label = std::ranges::any_of(
          image.labels, [&](std::int32_t label) { return label < 0 || label >= classes_; });
      if (unknown_label) bad("a label beyond the " + std::to_string(classes_) + " classes");
      check_index(record, bytes, image, bad);
      if (decoder_ != nullptr) {
        decoder_->open(image.encoded);
        report_.pixels.push_back({place, content_hash(decoder_->decode_full())});
      }
    } catch (const storage::DataError& error) {
      bad(error.what());
    }
  }

  template <typename Bad>
  void check_index(const storage::RecordReader::Record& record, std::uint64_t bytes,
                   const storage::ImageExample& image, const Bad& bad) const {
    if (index_ == nullptr) return;
    const std::uint64_t first = index_->first_record(shard_);
    if (!record.indexed) return bad("not in the index: a record of another place");
    const std::uint64_t number = first + record.index;
    if (index_->bytes(number) != bytes) {
      return bad("the index has it with " + std::to_string(index_->bytes(number)) + " bytes");
    }
    if (index_->masked_crc(number) != record.masked_crc) bad("not the data that was indexed");
    if (!std::ranges::equal(index_->labels(number), image.labels)) {
      bad("its labels are not those in the index");
    }
    if (index_->key_hash(number) != storage::hash_text(image.key)) {
      bad("its key is not the one in the index");
    }
  }

  static std::uint32_t file_crc32c(const storage::ReadableFile& file) {
    std::vector<std::byte> buffer(std::size_t{1} << 20);
    std::uint32_t crc = 0;
    std::uint64_t offset = 0;
    while (const std::size_t count = file.read_at(offset, buffer)) {
      crc = storage::crc32c(std::span(buffer).first(count), crc);
      offset += count;
    }
    return crc;
  }

  // A sidecar need not be there beside foreign shards, but must not lie.
  void check_sidecar(storage::FileSystem& files) {
    const std::string path = storage::sidecar_file_name(path_);
    if (!files.exists(path)) {
      if (converted_) report_.problems.push_back({path, {}, {}, "missing"});
      return;
    }
    if (!sidecar_known_) return;
    if (storage::read_file(files, path) != sidecar_) {
      report_.problems.push_back(
          {path, std::nullopt, std::nullopt, "not the offsets and sizes of the shard's records"});
    }
  }

  const std::string path_;
  const RecordIndex* const index_;
  const std::uint32_t shard_;
  const bool converted_;
  const std::int32_t classes_;
  JpegDecoder* const decoder_;
  ShardReport report_;
  std::string sidecar_;        // what it should be
  bool sidecar_known_ = true;  // sidecar_ is complete
};

// The index when it is one and speaks of the same shards; else null and a problem.
std::unique_ptr<RecordIndex> open_index(const std::string& path,
                                        const schemas::DatasetManifest::Split& split,
                                        std::vector<SplitProblem>& problems) {
  const auto problem = [&](std::string reason) {
    problems.push_back({path, std::nullopt, std::nullopt, std::move(reason)});
    return nullptr;
  };
  try {
    auto index = std::make_unique<RecordIndex>(RecordIndex::open(path));
    index->verify();
    const bool same = std::ranges::equal(
        index->shards(), split.shards(), [](const auto& indexed, const auto& listed) {
          return indexed.file == listed.file() && indexed.bytes == listed.bytes() &&
                 indexed.records == listed.records();
        });
    if (!same) return problem("its shards are not those of dataset.json");
    if (!storage::is_index_of(*index, split)) {
      return problem(
          "stale or of another dataset: not the index that dataset.json was written with");
    }
    return index;
  } catch (const storage::DataError& error) {
    // Its message starts with the path, as text() does.
    const std::string message = error.what();
    return problem(message.starts_with(path + ": ") ? message.substr(path.size() + 2) : message);
  } catch (const storage::StorageError& error) {
    if (error.code() != std::errc::no_such_file_or_directory) throw;
    return problem("missing; `bit-shard index` writes it");
  }
}

// `index` may be null.
SplitDuplicates find_repeated(storage::FileSystem& files, const std::string& directory,
                              const schemas::DatasetManifest::Split& split,
                              const RecordIndex* index, std::span<const HashedRecord> records) {
  const auto name = [&](RecordPlace place) {
    const auto shard = static_cast<std::uint32_t>(place >> 32);
    const std::uint64_t record = place & 0xFFFFFFFF;
    const std::string path = directory + "/" + split.shards(static_cast<int>(shard)).file();
    std::string text = path + ": record " + std::to_string(record);
    if (index != nullptr && record < index->shards()[shard].records) {
      const std::uint64_t number = index->first_record(shard) + record;
      const auto key = key_of(*files.open(path), index->offset(number), index->bytes(number));
      if (!key.empty()) text += " (" + key + ")";
    }
    return text;
  };
  const auto groups = find_duplicates(records.size(), [&](const auto& take) {
    for (const auto& [place, hash] : records) take(place, hash);
  });
  std::vector<std::pair<RecordPlace, RecordPlace>> pairs;  // the later one first
  for (const auto& group : groups) {
    for (std::size_t i = 1; i < group.size(); ++i) pairs.emplace_back(group[i], group.front());
  }
  std::ranges::sort(pairs);
  SplitDuplicates repeated{pairs.size(), {}};
  pairs.resize(std::min(pairs.size(), kShownDuplicates));
  for (const auto& [again, first] : pairs) repeated.first.push_back({name(first), name(again)});
  return repeated;
}

}  // namespace

std::string SplitProblem::text() const {
  std::string text = file;
  if (record) text += ": record " + std::to_string(*record);
  if (offset) text += " at byte " + std::to_string(*offset);
  if (!key.empty()) text += " (" + key + ")";
  return text + ": " + reason;
}

VerifyReport verify_split(storage::FileSystem& files, const std::string& directory,
                          const schemas::DatasetManifest& manifest,
                          const schemas::DatasetManifest::Split& split,
                          const VerifyOptions& options,
                          const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  VerifyReport report;
  const std::string index_path =
      directory + "/" + storage::index_file_name(manifest.name(), split.name());
  const auto index = open_index(index_path, split, report.problems);
  // A foreign dataset without class names says how many classes there are through its index.
  std::int32_t classes = manifest.class_names_size();
  if (classes == 0) classes = index ? index->label_max() + 1 : INT32_MAX;

  const auto shards = static_cast<std::uint64_t>(split.shards_size());
  const unsigned threads = std::max(1u, options.threads);
  OrderedWindow<ShardReport> reports(
      shards, threads, threads, UINT64_MAX, [](const ShardReport&) { return std::uint64_t{0}; },
      [&]() -> OrderedWindow<ShardReport>::Worker {
        auto decoder = options.decode ? std::make_shared<JpegDecoder>() : nullptr;
        return [&, decoder](std::uint64_t shard) {
          const auto& listed = split.shards(static_cast<int>(shard));
          ShardCheck check(directory + "/" + listed.file(), index.get(),
                           static_cast<std::uint32_t>(shard), split.has_conversion(), classes,
                           decoder.get());
          return check.run(files, listed);
        };
      });
  std::vector<HashedRecord> keys, pixels;
  for (std::uint64_t done = 1; auto shard = reports.next(); ++done) {
    report.records += shard->records;
    report.bytes += shard->bytes;
    std::ranges::move(shard->problems, std::back_inserter(report.problems));
    keys.insert(keys.end(), shard->keys.begin(), shard->keys.end());
    pixels.insert(pixels.end(), shard->pixels.begin(), shard->pixels.end());
    if (progress) progress(done, shards);
  }
  const auto repeated = [&](std::span<const HashedRecord> records) {
    return find_repeated(files, directory, split, index.get(), records);
  };
  report.same_key = repeated(keys);
  report.same_pixels = repeated(pixels);
  return report;
}

}  // namespace bit::pipeline
