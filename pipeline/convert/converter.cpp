// Listing, journal and shards lie in the staging folder (split_publisher.h): `plan` when the input
// is listed, an entry of the journal for each shard, `publishing` when the files begin to move.
#include "pipeline/convert/converter.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "pipeline/convert/split_publisher.h"
#include "storage/dataset_manifest.h"
#include "storage/hash64.h"
#include "storage/record_index.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kShardBytes = std::uint64_t{128} << 20;

std::string staging_of(const ConvertOptions& options) {
  return staging_folder(options.output, options.name, options.split);
}
std::string listing_path(const std::string& staging) { return staging + "/listing"; }
std::string merged_path(const std::string& staging) { return staging + "/merged"; }

std::uint32_t shard_count(const Listing& listing, const ConvertOptions& options) {
  const std::uint64_t images = listing.images();
  if (options.shards > images) {
    throw std::invalid_argument("--shards " + std::to_string(options.shards) + ": there are only " +
                                std::to_string(images) + " images");
  }
  if (options.shards != 0) return options.shards;
  const std::uint64_t wanted = (listing.total_bytes() + kShardBytes / 2) / kShardBytes;
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(wanted, 1, std::min<std::uint64_t>(images, kMaxShards)));
}

std::optional<schemas::ConversionPlan> read_plan(storage::FileSystem& files,
                                                 const std::string& staging) {
  schemas::ConversionPlan plan;
  if (!files.exists(plan_path(staging)) ||
      !plan.ParseFromString(storage::read_file(files, plan_path(staging)))) {
    return std::nullopt;
  }
  return plan;
}

Listing list(Input& input, LabelNames& labels, storage::FileSystem& files,
             const std::string& staging) {
  ListingWriter writer(files, listing_path(staging), labels);
  input.list(writer);
  writer.finish();
  Listing listing = Listing::open(files, listing_path(staging));
  if (listing.images() == 0) {
    const auto problems = listing.problems();
    throw storage::DataError("no images in the input" +
                             (problems.empty()
                                  ? std::string()
                                  : "; the first of its problems: " + problems.front().path + ": " +
                                        problems.front().reason));
  }
  return listing;
}

// What was listed in vain goes, as copies of compressed input can be large.
void remove_listing(storage::FileSystem& files, const std::string& staging) {
  try {
    remove_staging(files, staging);
  } catch (const storage::StorageError&) {  // the failure before it is the one to tell
  }
}

// Lists anew into an empty staging folder.
void start(Input& input, LabelNames& labels, storage::FileSystem& files,
           const ConvertOptions& options) {
  const std::string staging = staging_of(options);
  remove_staging(files, staging);
  files.make_directories(staging + "/journal");
  if (options.merge_duplicates) files.make_directories(staging + "/hashes");
  try {
    const Listing listing = list(input, labels, files, staging);
    dataset_before(files, options, listing.class_names());  // its classes
    schemas::ConversionPlan plan;
    plan.set_identity(identity_of(options));
    plan.set_shards(shard_count(listing, options));
    plan.set_listing_hash(listing.content_hash());
    storage::write_file_atomically(files, plan_path(staging), plan.SerializeAsString());
  } catch (...) {
    remove_listing(files, staging);
    throw;
  }
}

// Whether what lies in the staging folder is this conversion, of the input as it is now.
bool can_go_on(Input& input, const LabelNames& labels, storage::FileSystem& files,
               const ConvertOptions& options) {
  const std::string staging = staging_of(options);
  const auto plan = read_plan(files, staging);
  if (!plan || plan->identity() != identity_of(options)) return false;
  if (is_publishing(files, staging)) return true;
  if (Listing::open(files, listing_path(staging)).is_current()) return true;
  LabelNames again = labels;
  return list(input, again, files, staging).content_hash() == plan->listing_hash();
}

// Adds a journalled shard to the index.
void add_to_index(const schemas::ConvertedShard& entry, storage::RecordIndexBuilder& index) {
  index.begin_shard(entry.shard().file());
  std::uint64_t offset = 0;
  const std::int32_t* label = entry.labels().data();
  for (int i = 0; i < entry.bytes_size(); ++i) {
    const std::span labels(label, entry.label_counts(i));
    index.add(offset, entry.bytes(i), labels, entry.widths(i), entry.heights(i),
              entry.key_hashes(i), entry.masked_crcs(i));
    offset += entry.bytes(i);
    label += labels.size();
  }
  index.end_shard(entry.shard().bytes());
}

}  // namespace

std::optional<ConvertReport> report_of_converted(storage::FileSystem& files,
                                                 const ConvertOptions& options) {
  const auto manifest = manifest_before(files, options);
  const auto* split = storage::find_split(manifest, options.split);
  if (split == nullptr || options.overwrite) return std::nullopt;
  remove_staging(files, staging_of(options));  // of a publication that was stopped at its very end
  ConvertReport report;
  report.published = true;
  report.records = split->records();
  report.shards = static_cast<std::uint32_t>(split->shards_size());
  for (const auto& shard : split->shards()) report.bytes += shard.bytes();
  return report;
}

Preparation prepare_conversion(Input& input, LabelNames labels, storage::FileSystem& files,
                               const ConvertOptions& options) {
  check_options(files, options);
  files.make_directories(options.output);
  const bool left = read_plan(files, staging_of(options)).has_value();
  if (left && can_go_on(input, labels, files, options)) return Preparation::kResumed;
  start(input, labels, files, options);
  return left ? Preparation::kRestarted : Preparation::kFresh;
}

void abandon_conversion(storage::FileSystem& files, const ConvertOptions& options) {
  remove_staging(files, staging_of(options));
}

Conversion::Conversion(storage::FileSystem& files, const ConvertOptions& options)
    : files_(files),
      options_(options),
      staging_(staging_of(options)),
      listing_(Listing::open(files, listing_path(staging_))),
      shards_(read_plan(files, staging_).value().shards()),
      order_(listing_.images(), mix_key(options.seed, storage::hash_text(options.split))) {}

ShardsToConvert Conversion::work(const MergePlan& merge) const {
  return {files_,   listing_,      order_,         merge,  options_.image,
          staging_, options_.name, options_.split, shards_};
}

std::optional<schemas::ConvertedShard> Conversion::done(std::uint32_t shard) const {
  auto entry = Journal(files_, staging_).read(shard);
  if (!entry || is_publishing(files_, staging_)) return entry;  // it may have been moved
  const std::string path = staging_ + "/" + entry->shard().file();
  const bool there = files_.exists(path) && files_.file_size(path) == entry->shard().bytes();
  return there ? std::move(entry) : std::nullopt;
}

std::uint64_t Conversion::images_done() const {
  std::uint64_t images = 0;
  for (std::uint64_t shard = 0; shard < shards_; ++shard) {
    if (done(static_cast<std::uint32_t>(shard))) {
      images += listing_.images() * (shard + 1) / shards_ - listing_.images() * shard / shards_;
    }
  }
  return images;
}

Conversion::ShardSizes Conversion::shard_sizes() const {
  ShardSizes sizes{std::vector<std::uint64_t>(shards_), listing_.total_bytes()};
  const std::uint64_t images = listing_.images();
  for (std::uint64_t number = 0; number < images; ++number) {
    // The shard that holds the image's position: [s n / S, (s + 1) n / S).
    const std::uint64_t position = order_.inverse(number);
    ++sizes.images[((position + 1) * shards_ - 1) / images];
  }
  return sizes;
}

bool Conversion::hash(const std::stop_token& stop, ConvertCounters& counters) const {
  if (files_.exists(merged_path(staging_))) return true;
  std::vector<std::uint64_t> blocks;
  for (std::uint64_t block = options_.rank; block * kHashBlock < listing_.images();
       block += options_.ranks) {
    blocks.push_back(block);
  }
  const MergePlan none;
  return hash_images(work(none), blocks, options_.threads, stop, counters);
}

void Conversion::merge() const {
  if (files_.exists(merged_path(staging_))) return;
  const auto groups = find_duplicates(listing_.images(), [&](const auto& take) {
    for (std::uint64_t first = 0; first < listing_.images(); first += kHashBlock) {
      const auto hashes = read_hashes(files_, staging_, first / kHashBlock);
      for (std::size_t i = 0; i < hashes.size(); ++i) take(first + i, hashes[i]);
    }
  });
  schemas::MergedImages merged;
  for (const auto& images : groups) {
    auto& group = *merged.add_groups();
    std::vector<std::int32_t> labels;
    for (const auto image : images) {
      group.add_images(image);
      std::ranges::copy(listing_.image(image).labels, std::back_inserter(labels));
    }
    std::ranges::sort(labels);
    labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
    group.mutable_labels()->Assign(labels.begin(), labels.end());
  }
  storage::write_file_atomically(files_, merged_path(staging_), merged.SerializeAsString());
}

MergePlan Conversion::merge_plan() const {
  if (!options_.merge_duplicates) return {};
  schemas::MergedImages merged;
  if (!merged.ParseFromString(storage::read_file(files_, merged_path(staging_)))) {
    throw storage::DataError(merged_path(staging_) + ": damaged");
  }
  return MergePlan(merged);
}

bool Conversion::convert(const std::stop_token& stop, ConvertCounters& counters) const {
  const MergePlan merge = merge_plan();
  const ShardsToConvert what = work(merge);
  std::vector<std::uint32_t> mine;
  for (std::uint32_t shard = options_.rank; shard < shards_; shard += options_.ranks) {
    if (stop.stop_requested()) return false;
    if (is_publishing(files_, staging_)) continue;
    const auto entry = done(shard);
    if (!entry || is_mended(what, *entry)) mine.push_back(shard);
  }
  return convert_shards(what, mine, options_.threads, stop, counters);
}

bool Conversion::refused() const { return listing_.problems().size() > options_.max_bad; }

std::vector<DuplicateImages> Conversion::duplicates() const {
  std::vector<DuplicateImages> duplicates;
  const auto add = [&](const auto& images) {
    DuplicateImages& group = duplicates.emplace_back();
    group.merged = options_.merge_duplicates;
    for (const std::uint64_t number : images) {
      const ListedImage image = listing_.image(number);
      group.keys.push_back(image.key);
      std::ranges::copy(image.labels, std::back_inserter(group.labels));
    }
    std::ranges::sort(group.labels);
    group.labels.erase(std::unique(group.labels.begin(), group.labels.end()), group.labels.end());
  };
  if (options_.merge_duplicates) {
    schemas::MergedImages merged;
    merged.ParseFromString(storage::read_file(files_, merged_path(staging_)));
    for (const auto& group : merged.groups()) add(group.images());
    return duplicates;
  }
  const Journal journal(files_, staging_);
  const auto groups = find_duplicates(listing_.images(), [&](const auto& take) {
    for (std::uint32_t shard = 0; shard < shards_; ++shard) {
      const schemas::ConvertedShard entry = journal.read(shard).value();
      for (int i = 0; i < entry.images_size(); ++i) {
        take(entry.images(i), {entry.content_hashes(2 * i), entry.content_hashes(2 * i + 1)});
      }
    }
  });
  for (const auto& images : groups) add(images);
  return duplicates;
}

ConvertReport Conversion::publish() const {
  ConvertReport report;
  report.bad = listing_.problems();
  if (refused()) {
    write_quarantine(files_, options_.output, options_.split, report.bad);
    return report;
  }
  const Journal journal(files_, staging_);
  storage::RecordIndexBuilder index;
  schemas::DatasetManifest::Split split;
  std::vector<std::string> file_names;
  for (std::uint32_t shard = 0; shard < shards_; ++shard) {
    const auto entry = journal.read(shard);
    if (!entry) {
      throw storage::DataError(staging_ + ": shard " + std::to_string(shard) +
                               " is not in the journal");
    }
    add_to_index(*entry, index);
    *split.add_shards() = entry->shard();
    file_names.push_back(entry->shard().file());
    file_names.push_back(storage::sidecar_file_name(entry->shard().file()));
    report.bytes += entry->shard().bytes();
    report.merged += entry->merged();
    for (const auto& problem : entry->problems()) {
      report.bad.push_back({problem.path(), problem.reason()});
    }
  }
  report.records = index.records();
  report.shards = shards_;
  write_quarantine(files_, options_.output, options_.split, report.bad);
  if (report.bad.size() > options_.max_bad || report.records == 0) return report;
  const auto equal = duplicates();
  report.duplicate_groups = equal.size();
  write_duplicates(files_, options_.output, options_.split, equal);
  file_names.push_back(storage::index_file_name(options_.name, options_.split));
  split.set_index_hash(index.write(files_, staging_ + "/" + file_names.back()));
  split.set_name(options_.split);
  split.set_max_labels(index.label_statistics().most);
  split.set_records(report.records);
  split.set_seed(options_.seed);
  split.set_conversion(identity_of(options_));
  publish_split(files_, options_.output, dataset_before(files_, options_, listing_.class_names()),
                split, file_names);
  report.published = true;
  return report;
}

ConvertReport convert(Input& input, storage::FileSystem& files, const ConvertOptions& options,
                      LabelNames labels) {
  check_options(files, options);
  if (auto report = report_of_converted(files, options)) return *report;
  prepare_conversion(input, std::move(labels), files, options);
  const Conversion conversion(files, options);
  if (!conversion.refused()) {
    ConvertCounters counters;
    if (options.merge_duplicates) {
      conversion.hash({}, counters);
      conversion.merge();
    }
    conversion.convert({}, counters);
  }
  return conversion.publish();
}

}  // namespace bit::pipeline
