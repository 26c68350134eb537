// The entries: container, offset, bytes + 1 (0: a whole file), labels, key, name; numbers as
// varints, texts and labels after their count. `.ends` says where each entry ends, a u64 each.
#include "pipeline/convert/listing.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "storage/crc32c.h"
#include "storage/hash64.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

// Problems are held in memory and are written into one file for people.
constexpr int kMaxProblems = 1'000'000;
constexpr std::size_t kMaxOpenContainers = 256;

void put(std::vector<std::byte>& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) out.push_back(static_cast<std::byte>(number | 0x80));
  out.push_back(static_cast<std::byte>(number));
}

void put(std::vector<std::byte>& out, std::string_view text) {
  put(out, text.size());
  const auto bytes = std::as_bytes(std::span(text));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// Takes an entry apart.
class EntryReader {
 public:
  EntryReader(std::span<const std::byte> bytes, const std::string& path)
      : bytes_(bytes), path_(path) {}

  std::uint64_t number() {
    std::uint64_t number = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = std::to_integer<std::uint64_t>(take(1).front());
      number |= (byte & 0x7F) << shift;
      if (byte < 0x80) return number;
    }
    damaged();
  }
  std::string text() {
    const auto bytes = take(number());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  void end() const {
    if (!bytes_.empty()) damaged();
  }
  [[noreturn]] void damaged() const { throw storage::DataError(path_ + ": damaged"); }

 private:
  std::span<const std::byte> take(std::uint64_t count) {
    if (count > bytes_.size()) damaged();
    const auto taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }

  std::span<const std::byte> bytes_;
  const std::string& path_;
};

std::uint64_t hash_of(const schemas::ConversionListing& listing) {
  storage::Hash64 hash;
  hash.add(listing.images());
  hash.add(listing.entries_bytes());
  hash.add(std::uint64_t{listing.entries_crc32c()});
  for (const auto& container : listing.containers()) hash.add(container.path());
  for (const auto& name : listing.class_names()) hash.add(name);
  for (const auto label : listing.label_of()) hash.add(static_cast<std::uint64_t>(label));
  for (const auto& problem : listing.problems()) {
    hash.add(problem.path());
    hash.add(problem.reason());
  }
  return hash.value();
}

void put_stamp(storage::FileSystem& files, schemas::ConversionListing::Container& container) {
  const auto stamp = files.stamp(container.path());
  container.set_bytes(stamp.bytes);
  container.set_changed(stamp.changed);
}

std::string entries_path(const std::string& path) { return path + ".entries"; }
std::string ends_path(const std::string& path) { return path + ".ends"; }

}  // namespace

ListingWriter::ListingWriter(storage::FileSystem& files, std::string path, LabelNames& labels)
    : files_(files),
      path_(std::move(path)),
      labels_(labels),
      entries_(files.create(entries_path(path_))),
      ends_(files.create(ends_path(path_))) {}

std::uint32_t ListingWriter::add_container(const std::string& path) {
  auto& container = *listing_.add_containers();
  container.set_path(path);
  put_stamp(files_, container);
  return static_cast<std::uint32_t>(listing_.containers_size() - 1);
}

std::uint32_t ListingWriter::add_spool(std::uint64_t number, const std::string& source) {
  auto& container = *listing_.add_containers();
  container.set_path(spool_path(number));
  container.set_source(source);
  return static_cast<std::uint32_t>(listing_.containers_size() - 1);
}

std::string ListingWriter::spool_path(std::uint64_t number) const {
  return path_ + ".spool-" + std::to_string(number);
}

void ListingWriter::add(const ListedImage& image) {
  std::vector<std::int32_t> labels = image.labels;
  std::ranges::sort(labels);
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  const bool whole = image.bytes == kWholeFile;
  buffer_.clear();
  put(buffer_, image.container);
  put(buffer_, image.offset);
  put(buffer_, whole ? 0 : image.bytes + 1);
  put(buffer_, labels.size());
  for (const auto label : labels) put(buffer_, static_cast<std::uint64_t>(label));
  put(buffer_, image.key);
  put(buffer_, image.name == image.key ? std::string_view() : image.name);
  entries_->append(buffer_);
  crc_ = storage::crc32c(buffer_, crc_);
  written_ += buffer_.size();
  ends_->append(std::as_bytes(std::span(&written_, 1)));
  listing_.set_images(listing_.images() + 1);
  if (whole) return;
  listing_.set_sized_images(listing_.sized_images() + 1);
  listing_.set_sized_bytes(listing_.sized_bytes() + image.bytes);
}

void ListingWriter::add_problem(std::string path, std::string reason) {
  if (listing_.problems_size() == kMaxProblems) {
    const auto& first = listing_.problems(0);
    throw storage::DataError("gave up after " + std::to_string(kMaxProblems) +
                             " problems; the first is " + first.path() + ": " + first.reason());
  }
  auto& problem = *listing_.add_problems();
  problem.set_path(std::move(path));
  problem.set_reason(std::move(reason));
}

void ListingWriter::finish() {
  for (const auto& file : {entries_.get(), ends_.get()}) {
    file->sync();
    file->close();
  }
  for (auto& container : *listing_.mutable_containers()) {
    if (!container.has_changed()) put_stamp(files_, container);
  }
  const LabelNames::Final labels = labels_.finish();
  listing_.mutable_class_names()->Assign(labels.names.begin(), labels.names.end());
  listing_.mutable_label_of()->Assign(labels.label_of.begin(), labels.label_of.end());
  listing_.set_entries_bytes(written_);
  listing_.set_entries_crc32c(crc_);
  listing_.set_content_hash(hash_of(listing_));
  storage::write_file_atomically(files_, path_, listing_.SerializeAsString());
}

// Containers are opened when first read; when there are too many, all are closed and opened again.
struct Listing::Files {
  std::unique_ptr<storage::ReadableFile> entries, ends;
  std::mutex mutex;
  std::unordered_map<std::uint32_t, std::shared_ptr<storage::ReadableFile>> containers;
};

Listing Listing::open(storage::FileSystem& files, const std::string& path) {
  Listing listing;
  listing.files_ = &files;
  listing.path_ = path;
  auto& content = listing.listing_;
  listing.open_files_ = std::make_shared<Files>();
  auto& open = *listing.open_files_;
  open.entries = files.open(entries_path(path));
  open.ends = files.open(ends_path(path));
  if (!content.ParseFromString(storage::read_file(files, path)) ||
      content.content_hash() != hash_of(content) ||
      open.entries->size() != content.entries_bytes() ||
      open.ends->size() != content.images() * sizeof(std::uint64_t)) {
    throw storage::DataError(path + ": damaged");
  }
  listing.class_names_ = {content.class_names().begin(), content.class_names().end()};
  return listing;
}

ListedImage Listing::image(std::uint64_t number) const {
  std::array<std::uint64_t, 2> ends{};
  const auto wanted = std::as_writable_bytes(std::span(ends)).subspan(number == 0 ? 8 : 0);
  const std::uint64_t from = number == 0 ? 0 : (number - 1) * sizeof(std::uint64_t);
  if (open_files_->ends->read_at(from, wanted) != wanted.size() || ends[1] < ends[0] ||
      ends[1] > listing_.entries_bytes()) {
    throw storage::DataError(ends_path(path_) + ": damaged");
  }
  std::vector<std::byte> bytes(ends[1] - ends[0]);
  bytes.resize(open_files_->entries->read_at(ends[0], bytes));
  EntryReader entry(bytes, open_files_->entries->path());
  ListedImage image;
  image.container = static_cast<std::uint32_t>(entry.number());
  image.offset = entry.number();
  image.bytes = entry.number() - 1;  // 0 becomes kWholeFile
  image.labels.resize(std::min<std::uint64_t>(entry.number(), bytes.size()));
  for (auto& label : image.labels) {
    label = static_cast<std::int32_t>(entry.number());
    if (listing_.label_of_size() == 0) continue;
    if (label < 0 || label >= listing_.label_of_size()) entry.damaged();
    label = listing_.label_of(label);
  }
  std::ranges::sort(image.labels);
  image.key = entry.text();
  image.name = entry.text();
  entry.end();
  if (image.name.empty()) image.name = image.key;
  if (image.container >= static_cast<std::uint32_t>(listing_.containers_size())) entry.damaged();
  return image;
}

std::string Listing::place(const ListedImage& image) const {
  const auto& container = listing_.containers(static_cast<int>(image.container));
  if (image.bytes != kWholeFile) {
    return (container.has_source() ? container.source() : container.path()) + ": " + image.name;
  }
  return image.name.starts_with('/') ? image.name : container.path() + "/" + image.name;
}

std::shared_ptr<storage::ReadableFile> Listing::container(const ListedImage& image) const {
  const std::lock_guard lock(open_files_->mutex);
  auto& open = open_files_->containers;
  if (const auto known = open.find(image.container); known != open.end()) return known->second;
  if (open.size() >= kMaxOpenContainers) open.clear();
  const auto& path = listing_.containers(static_cast<int>(image.container)).path();
  return open[image.container] = files_->open(path);
}

std::vector<std::byte> Listing::read(const ListedImage& image) const {
  const bool whole = image.bytes == kWholeFile;
  const auto file = whole ? std::shared_ptr(files_->open(place(image))) : container(image);
  const std::uint64_t left = file->size() - std::min(image.offset, file->size());
  if (!whole && left < image.bytes) {
    throw storage::DataError("the file that it is in has become shorter");
  }
  std::vector<std::byte> bytes(whole ? left : image.bytes);
  bytes.resize(file->read_at(image.offset, bytes));
  return bytes;
}

void Listing::will_need(const ListedImage& image) const {
  if (image.bytes != kWholeFile) container(image)->will_need(image.offset, image.bytes);
}

std::vector<QuarantinedImage> Listing::problems() const {
  std::vector<QuarantinedImage> problems;
  for (const auto& problem : listing_.problems()) {
    problems.push_back({problem.path(), problem.reason()});
  }
  return problems;
}

std::uint64_t Listing::total_bytes() const {
  if (listing_.sized_images() == images()) return listing_.sized_bytes();
  const std::uint64_t samples = std::min(images(), kListedSamples);
  std::uint64_t bytes = 0;
  for (std::uint64_t i = 0; i < samples; ++i) {
    const ListedImage sample = image(i * images() / samples);
    try {
      bytes += sample.bytes == kWholeFile ? files_->file_size(place(sample)) : sample.bytes;
    } catch (const storage::StorageError&) {  // told when it is read
    }
  }
  return static_cast<std::uint64_t>(static_cast<double>(bytes) / static_cast<double>(samples) *
                                    static_cast<double>(images()));
}

std::vector<std::string> Listing::missing_samples() const {
  std::vector<std::string> missing;
  const std::uint64_t samples = std::min(images(), kListedSamples);
  for (std::uint64_t i = 0; i < samples; ++i) {
    const ListedImage sample = image(i * images() / samples);
    if (sample.bytes == kWholeFile && !files_->exists(place(sample))) {
      missing.push_back(place(sample));
    }
  }
  return missing;
}

bool Listing::is_current() const {
  return std::ranges::all_of(listing_.containers(), [&](const auto& container) {
    return files_->exists(container.path()) &&
           files_->stamp(container.path()) ==
               storage::FileStamp{container.bytes(), container.changed()};
  });
}

}  // namespace bit::pipeline
