// Entry P(p) of the input becomes record p of the output, P a keyed permutation; shard s of S holds
// the positions [s*n/S, (s+1)*n/S). A bad image leaves its position empty.
#include "pipeline/convert/converter.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "pipeline/convert/ordered_window.h"
#include "pipeline/convert/shard_writer.h"
#include "pipeline/convert/split_publisher.h"
#include "pipeline/random.h"
#include "storage/dataset_manifest.h"
#include "storage/example.h"
#include "storage/hash64.h"
#include "storage/record_index.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kShardBytes = std::uint64_t{128} << 20;
constexpr std::uint32_t kMaxShards = 99999;  // five digits in the file name
constexpr std::size_t kWindowPerThread = 16;
constexpr std::uint64_t kWindowBytes = std::uint64_t{256} << 20;

// A record ready to be written, or why there is none.
struct ConvertedImage {
  std::string path;
  std::string reason;  // empty when good
  std::string record;  // serialized example
  std::vector<std::int32_t> labels;
  std::uint32_t width = 0, height = 0;
  std::uint64_t key_hash = 0;
};

void check_component(const std::string& option, const std::string& value) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  };
  if (value.empty() || value.front() == '.' || !std::ranges::all_of(value, allowed)) {
    throw std::invalid_argument(
        option + " `" + value +
        "` becomes part of file names: letters, digits, `_`, `-` and `.`, not starting with `.`");
  }
}

std::uint32_t shard_count(const Input& input, const ConvertOptions& options) {
  const std::uint64_t entries = input.entries();
  if (options.shards > kMaxShards) {
    throw std::invalid_argument("--shards " + std::to_string(options.shards) + ": at most " +
                                std::to_string(kMaxShards));
  }
  if (options.shards > entries) {
    throw std::invalid_argument("--shards " + std::to_string(options.shards) + ": there are only " +
                                std::to_string(entries) + " images");
  }
  if (options.shards != 0) return options.shards;
  const std::uint64_t wanted = (input.total_bytes() + kShardBytes / 2) / kShardBytes;
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(wanted, 1, std::min<std::uint64_t>(entries, kMaxShards)));
}

void check_class_names(const schemas::DatasetManifest& manifest, const Input& input,
                       const std::string& directory) {
  const auto& names = input.class_names();
  const std::size_t known = static_cast<std::size_t>(manifest.class_names_size());
  for (std::size_t i = 0; i < std::max(names.size(), known); ++i) {
    const std::string ours = i < names.size() ? "`" + names[i] + "`" : "missing";
    const std::string theirs =
        i < known ? "`" + manifest.class_names(static_cast<int>(i)) + "`" : "missing";
    if (ours != theirs) {
      throw storage::DataError(directory +
                               "/dataset.json: its classes are not those of the input: class " +
                               std::to_string(i) + " is " + theirs + " there and " + ours +
                               " in the input (all splits of a dataset share their classes)");
    }
  }
}

// dataset.json as it is, held against the options; empty when there is none yet.
schemas::DatasetManifest manifest_before(storage::FileSystem& files,
                                         const ConvertOptions& options) {
  if (!files.exists(options.output + "/dataset.json")) return {};
  auto manifest = storage::read_manifest(files, options.output);
  if (manifest.name() != options.name) {
    throw std::invalid_argument(options.output + " holds the dataset `" + manifest.name() +
                                "`, not `" + options.name + "`: give --name " + manifest.name() +
                                " or another --output");
  }
  if (storage::find_split(manifest, options.split) != nullptr && !options.overwrite) {
    throw std::invalid_argument("split `" + options.split + "` exists in " + options.output +
                                " already; --overwrite replaces it");
  }
  return manifest;
}

// The same with the classes of the input, which may only change with the only split.
schemas::DatasetManifest dataset_before(storage::FileSystem& files, const Input& input,
                                        const ConvertOptions& options) {
  auto manifest = manifest_before(files, options);
  const bool replaced = storage::find_split(manifest, options.split) != nullptr;
  if (manifest.splits_size() > (replaced ? 1 : 0)) {
    check_class_names(manifest, input, options.output);
    return manifest;
  }
  manifest.set_name(options.name);
  manifest.clear_class_names();
  for (const auto& name : input.class_names()) manifest.add_class_names(name);
  return manifest;
}

// A file that this user cannot have; anything else that goes wrong is the machine's.
bool concerns_one_file(const std::error_code& code) {
  return code == std::errc::no_such_file_or_directory || code == std::errc::permission_denied ||
         code == std::errc::too_many_symbolic_link_levels || code == std::errc::not_a_directory;
}

std::vector<std::byte> read_entry(const Input& input, const InputEntry& entry) {
  try {
    return input.read(entry);
  } catch (const storage::StorageError& error) {
    if (!concerns_one_file(error.code())) throw;
    throw storage::DataError(error.code().message());
  }
}

ConvertedImage convert_image(const Input& input, std::uint64_t number, JpegMode mode,
                             JpegDecoder& decoder) {
  InputEntry entry = input.entry(number);
  ConvertedImage image;
  image.path = std::move(entry.path);
  entry.path = image.path;
  try {
    const std::vector<std::byte> file = read_entry(input, entry);
    const NormalizedImage normalized = normalize_image(file, mode, decoder);
    image.width = normalized.width;
    image.height = normalized.height;
    const storage::ImageExample example{.encoded = normalized.bytes,
                                        .labels = entry.labels,
                                        .key = entry.key,
                                        .width = image.width,
                                        .height = image.height};
    const auto label = static_cast<std::size_t>(entry.labels.front());
    image.record = storage::serialize_image_example(example, input.class_names()[label]);
    if (image.record.size() > storage::kMaxRecordBytes)
      throw storage::DataError("larger than 2 GiB");
  } catch (const storage::DataError& error) {
    image.reason = error.what();
  }
  image.labels = std::move(entry.labels);
  image.key_hash = storage::hash_text(entry.key);
  return image;
}

// Takes the images in order and writes shards, index and report.
class SplitWriter {
 public:
  SplitWriter(storage::FileSystem& files, std::string directory, const ConvertOptions& options)
      : files_(files), directory_(std::move(directory)), options_(options) {}

  void begin_shard(std::uint32_t shard, std::uint32_t shards) {
    const std::string file = storage::shard_file_name(options_.name, options_.split, shard, shards);
    writer_ = std::make_unique<ShardWriter>(files_, directory_, file);
    index_.begin_shard(file);
  }
  void add(ConvertedImage image) {
    if (!image.reason.empty()) {
      report_.bad.push_back({std::move(image.path), std::move(image.reason)});
      return;
    }
    const auto place = writer_->append(std::as_bytes(std::span(image.record)));
    index_.add(place.offset, place.bytes, image.labels, image.width, image.height, image.key_hash,
               place.masked_crc);
    report_.bytes += place.bytes;
    ++report_.records;
  }
  void end_shard() {
    *split_.add_shards() = writer_->finish();
    index_.end_shard(writer_->bytes());
    writer_.reset();
    ++report_.shards;
  }
  schemas::DatasetManifest::Split finish() {
    split_.set_index_hash(index_.write(
        files_, directory_ + "/" + storage::index_file_name(options_.name, options_.split)));
    split_.set_name(options_.split);
    split_.set_records(report_.records);
    split_.set_seed(options_.seed);
    return split_;
  }
  ConvertReport& report() { return report_; }

 private:
  storage::FileSystem& files_;
  std::string directory_;
  const ConvertOptions& options_;
  std::unique_ptr<ShardWriter> writer_;
  storage::RecordIndexBuilder index_;
  schemas::DatasetManifest::Split split_;
  ConvertReport report_;
};

void write_shards(const Input& input, const ConvertOptions& options, std::uint32_t shards,
                  SplitWriter& writer,
                  const std::function<void(const ConvertProgress&)>& progress) {
  const std::uint64_t total = input.entries();
  const KeyedPermutation order(total, mix_key(options.seed, storage::hash_text(options.split)));
  const unsigned threads = std::max(1u, options.threads);
  OrderedWindow<ConvertedImage> images(
      total, threads, threads * kWindowPerThread, kWindowBytes,
      [](const ConvertedImage& image) { return image.record.size(); },
      [&]() -> OrderedWindow<ConvertedImage>::Worker {
        auto decoder = std::make_shared<JpegDecoder>();
        return [&, decoder](std::uint64_t position) {
          return convert_image(input, order(position), options.jpeg, *decoder);
        };
      });
  for (std::uint32_t shard = 0; shard < shards; ++shard) {
    writer.begin_shard(shard, shards);
    for (std::uint64_t i = total * shard / shards; i < total * (shard + 1) / shards; ++i) {
      writer.add(*images.next());
      if (progress) progress({i + 1, total, writer.report().bytes});
    }
    writer.end_shard();
  }
}

}  // namespace

void check_options(storage::FileSystem& files, const ConvertOptions& options) {
  check_component("--name", options.name);
  check_component("--split", options.split);
  manifest_before(files, options);
}

ConvertReport convert(const Input& input, storage::FileSystem& files, const ConvertOptions& options,
                      const std::function<void(const ConvertProgress&)>& progress) {
  check_options(files, options);
  const std::uint32_t shards = shard_count(input, options);
  files.make_directories(options.output);
  const schemas::DatasetManifest before = dataset_before(files, input, options);

  SplitPublisher publisher(files, options.output, options.name, options.split);
  SplitWriter writer(files, publisher.staging(), options);
  ConvertReport& report = writer.report();
  report.bad = input.problems();
  const bool acceptable = report.bad.size() <= options.max_bad;
  if (acceptable) write_shards(input, options, shards, writer, progress);
  write_quarantine(files, options.output, options.split, report.bad);
  if (report.bad.size() <= options.max_bad && report.records > 0) {
    publisher.publish(before, writer.finish());
    report.published = true;
  }
  return std::move(report);
}

}  // namespace bit::pipeline
