// The binary index of a split: a header with its own checksum, then columns that each start at a
// multiple of 8 bytes, in the order of `Layout`. They are used where they lie, so opening costs
// nothing per record. docs/formats.md has the byte table.
#include "storage/record_index.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <limits>
#include <stdexcept>

#include "storage/crc32c.h"
#include "storage/hash64.h"
#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

static_assert(std::endian::native == std::endian::little, "columns are little-endian in the file");

constexpr std::string_view kMagic = "BITINDEX";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kMaxSide = 0xFFFF;  // pixels that the column of sizes can hold
// More records, shards, labels or bytes than this cannot be, and would overflow the layout.
constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 48;

struct Header {
  char magic[8];
  std::uint32_t version;
  std::uint32_t header_crc;  // masked CRC-32C of the header with this field zero
  std::uint64_t file_bytes;
  std::uint64_t content_hash;  // Hash64 of all words after the header
  std::uint64_t shards;
  std::uint64_t records;
  std::uint64_t labels;
  std::uint64_t name_bytes;
  std::uint64_t classes_seen;
  std::int32_t label_min;
  std::int32_t label_max;
};
static_assert(sizeof(Header) == 80);

std::uint32_t checksum(Header header) {
  header.header_crc = 0;
  return mask_crc32c(crc32c(std::as_bytes(std::span(&header, 1))));
}

// Where each column starts in the file.
struct Layout {
  explicit Layout(const Header& header) {
    first_records = take(header.shards + 1, 8);
    shard_bytes = take(header.shards, 8);
    name_ends = take(header.shards, 8);
    names = take(header.name_bytes, 1);
    offsets = take(header.records, 8);
    label_ends = take(header.records, 8);
    key_hashes = take(header.records, 8);
    record_bytes = take(header.records, 4);
    sizes = take(header.records, 4);
    crcs = take(header.records, 4);
    labels = take(header.labels, 4);
  }
  std::uint64_t take(std::uint64_t count, std::uint64_t element_bytes) {
    const std::uint64_t begin = end;
    end += (count * element_bytes + 7) / 8 * 8;
    return begin;
  }
  std::uint64_t end = sizeof(Header);
  std::uint64_t first_records, shard_bytes, name_ends, names, offsets, label_ends, key_hashes;
  std::uint64_t record_bytes, sizes, crcs, labels;
};

using Consume = std::function<void(std::span<const std::byte>)>;

// Gives a column to `consume`, filled up with zeros to a multiple of 8 bytes.
void give(std::span<const std::byte> column, const Consume& consume) {
  const std::size_t whole = column.size() / 8 * 8;
  consume(column.first(whole));
  if (whole == column.size()) return;
  std::byte last[8] = {};
  std::memcpy(last, column.data() + whole, column.size() - whole);
  consume(last);
}

void hash_words(std::span<const std::byte> words, Hash64& hash) {
  for (std::size_t i = 0; i < words.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, words.data() + i, sizeof(word));
    hash.add(word);
  }
}

template <typename Value>
std::span<const Value> column(std::span<const std::byte> file, std::uint64_t begin,
                              std::uint64_t count) {
  return {reinterpret_cast<const Value*>(file.data() + begin), count};
}

// The header of a file that is as long as its header says.
Header checked_header(std::span<const std::byte> file) {
  Header header;
  if (file.size() < sizeof(header)) throw DataError("shorter than the header of an index");
  std::memcpy(&header, file.data(), sizeof(header));
  if (std::string_view(header.magic, sizeof(header.magic)) != kMagic) {
    throw DataError("not an index");
  }
  if (header.version != kVersion) {
    throw DataError("version " + std::to_string(header.version) +
                    " of the index; this program reads " + std::to_string(kVersion));
  }
  if (header.header_crc != checksum(header)) throw DataError("the header fails its checksum");
  if (std::max({header.shards, header.records, header.labels, header.name_bytes}) > kMaxCount ||
      header.file_bytes != Layout(header).end) {
    throw DataError("the header contradicts itself");
  }
  if (header.file_bytes != file.size()) {
    throw DataError("holds " + std::to_string(file.size()) + " bytes instead of " +
                    std::to_string(header.file_bytes));
  }
  return header;
}

}  // namespace

void RecordIndexBuilder::begin_shard(std::string file) {
  if (open_) throw std::logic_error("begin_shard: the shard before has not ended");
  open_ = true;
  shards_.push_back({std::move(file), 0, 0});
}

void RecordIndexBuilder::add(std::uint64_t offset, std::uint64_t bytes,
                             std::span<const std::int32_t> labels, std::uint32_t width,
                             std::uint32_t height, std::uint64_t key_hash,
                             std::uint32_t masked_crc) {
  if (!open_) throw std::logic_error("add: no shard was begun");
  if (bytes > std::numeric_limits<std::uint32_t>::max()) {
    throw std::invalid_argument("a record of " + std::to_string(bytes) + " bytes");
  }
  if (std::ranges::any_of(labels, [](std::int32_t label) { return label < 0; })) {
    throw std::invalid_argument("a negative label");
  }
  const bool sized = width <= kMaxSide && height <= kMaxSide;
  offsets_.push_back(offset);
  bytes_.push_back(static_cast<std::uint32_t>(bytes));
  labels_.insert(labels_.end(), labels.begin(), labels.end());
  label_ends_.push_back(labels_.size());
  sizes_.push_back(sized ? width << 16 | height : 0);
  key_hashes_.push_back(key_hash);
  crcs_.push_back(masked_crc);
  ++shards_.back().records;
}

void RecordIndexBuilder::end_shard(std::uint64_t file_bytes) {
  if (!open_) throw std::logic_error("end_shard: no shard was begun");
  open_ = false;
  shards_.back().bytes = file_bytes;
}

std::uint64_t RecordIndexBuilder::records() const { return offsets_.size(); }

LabelStatistics RecordIndexBuilder::label_statistics() const {
  LabelStatistics statistics;
  if (labels_.empty()) return statistics;
  const auto [min, max] = std::ranges::minmax(labels_);
  std::vector<bool> seen(static_cast<std::size_t>(max) + 1);
  for (const std::int32_t label : labels_) seen[static_cast<std::size_t>(label)] = true;
  std::uint64_t most = 0;
  for (std::size_t i = 0; i < label_ends_.size(); ++i) {
    most = std::max(most, label_ends_[i] - (i == 0 ? 0 : label_ends_[i - 1]));
  }
  return {min, max, static_cast<std::uint64_t>(std::ranges::count(seen, true)),
          static_cast<std::uint32_t>(most)};
}

std::string RecordIndexBuilder::write(FileSystem& files, const std::string& path) const {
  if (open_) throw std::logic_error("write: the last shard has not ended");
  std::vector<std::uint64_t> first_records = {0};
  std::vector<std::uint64_t> shard_bytes;
  std::vector<std::uint64_t> name_ends;
  std::string names;
  for (const IndexedShard& shard : shards_) {
    first_records.push_back(first_records.back() + shard.records);
    shard_bytes.push_back(shard.bytes);
    names += shard.file;
    name_ends.push_back(names.size());
  }
  const auto columns = [&](const Consume& consume) {
    give(std::as_bytes(std::span(first_records)), consume);
    give(std::as_bytes(std::span(shard_bytes)), consume);
    give(std::as_bytes(std::span(name_ends)), consume);
    give(std::as_bytes(std::span(names)), consume);
    give(std::as_bytes(std::span(offsets_)), consume);
    give(std::as_bytes(std::span(label_ends_)), consume);
    give(std::as_bytes(std::span(key_hashes_)), consume);
    give(std::as_bytes(std::span(bytes_)), consume);
    give(std::as_bytes(std::span(sizes_)), consume);
    give(std::as_bytes(std::span(crcs_)), consume);
    give(std::as_bytes(std::span(labels_)), consume);
  };
  Header header{};
  kMagic.copy(header.magic, sizeof(header.magic));
  header.version = kVersion;
  header.shards = shards_.size();
  header.records = offsets_.size();
  header.labels = labels_.size();
  header.name_bytes = names.size();
  const LabelStatistics statistics = label_statistics();
  header.label_min = statistics.min;
  header.label_max = statistics.max;
  header.classes_seen = statistics.seen;
  header.file_bytes = Layout(header).end;
  Hash64 hash;
  columns([&](std::span<const std::byte> words) { hash_words(words, hash); });
  header.content_hash = hash.value();
  header.header_crc = checksum(header);
  write_file_atomically(files, path, [&](WritableFile& file) {
    file.append(std::as_bytes(std::span(&header, 1)));
    columns([&](std::span<const std::byte> words) { file.append(words); });
  });
  return hash_digits(header.content_hash);
}

RecordIndex RecordIndex::open(const std::string& path) {
  MappedFile file(path);
  try {
    RecordIndex index = parse(file.bytes());
    index.path_ = path;
    index.file_ = std::move(file);
    return index;
  } catch (const DataError& error) {
    throw DataError(path + ": " + error.what());
  }
}

RecordIndex RecordIndex::parse(std::span<const std::byte> file) {
  const Header header = checked_header(file);
  const Layout layout(header);
  RecordIndex index;
  index.words_ = file.subspan(sizeof(Header));
  index.content_hash_ = header.content_hash;
  index.label_min_ = header.label_min;
  index.label_max_ = header.label_max;
  index.classes_seen_ = header.classes_seen;
  index.offsets_ = column<std::uint64_t>(file, layout.offsets, header.records);
  index.label_ends_ = column<std::uint64_t>(file, layout.label_ends, header.records);
  index.key_hashes_ = column<std::uint64_t>(file, layout.key_hashes, header.records);
  index.bytes_ = column<std::uint32_t>(file, layout.record_bytes, header.records);
  index.sizes_ = column<std::uint32_t>(file, layout.sizes, header.records);
  index.crcs_ = column<std::uint32_t>(file, layout.crcs, header.records);
  index.labels_ = column<std::int32_t>(file, layout.labels, header.labels);

  const auto firsts = column<std::uint64_t>(file, layout.first_records, header.shards + 1);
  const auto shard_bytes = column<std::uint64_t>(file, layout.shard_bytes, header.shards);
  const auto name_ends = column<std::uint64_t>(file, layout.name_ends, header.shards);
  const auto names = column<char>(file, layout.names, header.name_bytes);
  if (!std::ranges::is_sorted(firsts) || firsts.front() != 0 || firsts.back() != header.records ||
      !std::ranges::is_sorted(name_ends) ||
      (name_ends.empty() ? 0 : name_ends.back()) != header.name_bytes) {
    throw DataError("the table of shards is damaged");
  }
  index.first_records_.assign(firsts.begin(), firsts.end());
  std::uint64_t name_begin = 0;
  for (std::size_t i = 0; i < header.shards; ++i) {
    index.shards_.push_back({std::string(names.data() + name_begin, name_ends[i] - name_begin),
                             shard_bytes[i], firsts[i + 1] - firsts[i]});
    name_begin = name_ends[i];
  }
  return index;
}

void RecordIndex::verify() const {
  Hash64 hash;
  hash_words(words_, hash);
  if (hash.value() != content_hash_) throw DataError(path_ + ": the content fails its hash");
  if (!std::ranges::is_sorted(label_ends_)) {
    throw DataError(path_ + ": the labels are not in the order of the records");
  }
}

std::uint32_t RecordIndex::shard_of(std::uint64_t record) const {
  const auto after = std::ranges::upper_bound(first_records_, record);
  return static_cast<std::uint32_t>(after - first_records_.begin() - 1);
}

std::span<const std::int32_t> RecordIndex::labels(std::uint64_t record) const {
  const std::uint64_t begin = record == 0 ? 0 : label_ends_[record - 1];
  const std::uint64_t end = label_ends_[record];
  if (begin > end || end > labels_.size()) {
    throw DataError(path_ + ": the labels of record " + std::to_string(record) + " are damaged");
  }
  return labels_.subspan(begin, end - begin);
}

}  // namespace bit::storage
