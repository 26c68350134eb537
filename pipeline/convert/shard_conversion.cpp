#include "pipeline/convert/shard_conversion.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "pipeline/convert/ordered_window.h"
#include "pipeline/convert/shard_writer.h"
#include "storage/dataset_manifest.h"
#include "storage/example.h"
#include "storage/hash64.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

constexpr std::size_t kWindowPerThread = 16;
constexpr std::uint64_t kWindowBytes = std::uint64_t{256} << 20;

// A record ready to be written, or why there is none.
struct ConvertedImage {
  std::uint64_t number = 0;
  std::string place;
  std::string reason;  // empty when good
  bool left_out = false;
  std::uint64_t bytes_read = 0;
  std::string record;  // serialized example
  std::vector<std::int32_t> labels;
  std::uint32_t width = 0, height = 0;
  std::uint64_t key_hash = 0;
  ContentHash content_hash{};
};

// Whether an error is about the image itself, so that the others can still be read: the file is
// missing, not permitted, or not a file.
bool concerns_one_file(const std::error_code& code) {
  return code == std::errc::no_such_file_or_directory || code == std::errc::permission_denied ||
         code == std::errc::is_a_directory || code == std::errc::not_a_directory ||
         code == std::errc::too_many_symbolic_link_levels;
}

std::vector<std::byte> read_image(const Listing& listing, const ListedImage& image) {
  try {
    return listing.read(image);
  } catch (const storage::StorageError& error) {
    if (image.bytes != kWholeFile || !concerns_one_file(error.code())) throw;
    throw storage::DataError(error.code().message());
  }
}

ConvertedImage convert_image(const ShardsToConvert& what, std::uint64_t number,
                             ImageNormalizer& normalizer) {
  ConvertedImage image;
  image.number = number;
  image.left_out = what.merge.left_out(number);
  if (image.left_out) return image;
  const ListedImage listed = what.listing.image(number);
  image.place = what.listing.place(listed);
  const auto* merged_labels = what.merge.labels(number);
  image.labels = merged_labels != nullptr ? *merged_labels : listed.labels;
  image.key_hash = storage::hash_text(listed.key);
  try {
    const std::vector<std::byte> file = read_image(what.listing, listed);
    image.bytes_read = file.size();
    const NormalizedImage normalized = normalizer.normalize(file);
    image.width = normalized.width;
    image.height = normalized.height;
    image.content_hash = normalized.content_hash;
    const storage::ImageExample example{.encoded = normalized.bytes,
                                        .labels = image.labels,
                                        .key = listed.key,
                                        .width = image.width,
                                        .height = image.height};
    const auto& names = what.listing.class_names();
    const auto label = static_cast<std::size_t>(image.labels.front());
    image.record =
        storage::serialize_image_example(example, label < names.size() ? names[label] : "");
    if (image.record.size() > storage::kMaxRecordBytes)
      throw storage::DataError("larger than 2 GiB");
  } catch (const storage::DataError& error) {
    image.reason = error.what();
  }
  return image;
}

// One shard and its journal entry.
class ShardInWork {
 public:
  ShardInWork(const ShardsToConvert& what, std::uint32_t shard)
      : writer_(what.files, what.staging,
                storage::shard_file_name(what.name, what.split, shard, what.shards)) {}

  void add(ConvertedImage image) {
    if (image.left_out) {
      entry_.set_merged(entry_.merged() + 1);
      return;
    }
    if (!image.reason.empty()) {
      auto& problem = *entry_.add_problems();
      problem.set_path(std::move(image.place));
      problem.set_reason(std::move(image.reason));
      problem.set_image(image.number);
      return;
    }
    const auto place = writer_.append(std::as_bytes(std::span(image.record)));
    entry_.add_bytes(static_cast<std::uint32_t>(place.bytes));
    entry_.add_label_counts(static_cast<std::uint32_t>(image.labels.size()));
    for (const auto label : image.labels) entry_.add_labels(label);
    entry_.add_widths(image.width);
    entry_.add_heights(image.height);
    entry_.add_key_hashes(image.key_hash);
    entry_.add_masked_crcs(place.masked_crc);
    entry_.add_images(image.number);
    for (const auto half : image.content_hash) entry_.add_content_hashes(half);
  }
  const schemas::ConvertedShard& finish() {
    *entry_.mutable_shard() = writer_.finish();
    return entry_;
  }

 private:
  ShardWriter writer_;
  schemas::ConvertedShard entry_;
};

// Work on parts of a whole by several threads: the first failure stops all and is thrown.
class Lanes {
 public:
  explicit Lanes(const std::stop_token& stop) : forward_(stop, [this] { stop_.request_stop(); }) {}

  // `lane` is called with its number and a token, in a thread of its own. Returns when all did.
  void run(std::size_t lanes,
           const std::function<void(std::size_t, const std::stop_token&)>& lane) {
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < lanes; ++i) {
        threads.emplace_back([this, &lane, i] {
          try {
            lane(i, stop_.get_token());
          } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!failure_) failure_ = std::current_exception();
            stop_.request_stop();
          }
        });
      }
    }
    if (failure_) std::rethrow_exception(failure_);
  }
  bool stopped() const { return stop_.stop_requested(); }

 private:
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> forward_;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

// Converts shards one after the other; the threads work ahead into the next one.
void convert_in_turn(const ShardsToConvert& what, std::span<const std::uint32_t> shards,
                     unsigned threads, std::uint64_t memory, const std::stop_token& stop,
                     ConvertCounters& counters) {
  const std::uint64_t images = what.listing.images();
  const auto first_position = [&](std::uint64_t shard) { return images * shard / what.shards; };
  std::vector<std::uint64_t> ends;  // of each shard, in images of this lane
  for (const std::uint32_t shard : shards) {
    ends.push_back((ends.empty() ? 0 : ends.back()) + first_position(shard + 1) -
                   first_position(shard));
  }
  const auto image_at = [&](std::uint64_t number) {  // number < ends.back()
    const auto at = static_cast<std::size_t>(std::ranges::upper_bound(ends, number) - ends.begin());
    const std::uint64_t before = at == 0 ? 0 : ends[at - 1];
    return what.order(first_position(shards[at]) + number - before);
  };
  const std::uint64_t ahead = std::uint64_t{threads} * kWindowPerThread;
  OrderedWindow<ConvertedImage> converted(
      ends.back(), threads, threads * kWindowPerThread, memory,
      [](const ConvertedImage& image) { return image.record.size(); },
      [&]() -> OrderedWindow<ConvertedImage>::Worker {
        auto normalizer = std::make_shared<ImageNormalizer>(what.image);
        return [&, normalizer](std::uint64_t number) {
          if (number + ahead < ends.back()) {
            what.listing.will_need(what.listing.image(image_at(number + ahead)));
          }
          return convert_image(what, image_at(number), *normalizer);
        };
      });
  Journal journal(what.files, what.staging);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    ShardInWork shard(what, shards[i]);
    for (std::uint64_t left = ends[i] - (i == 0 ? 0 : ends[i - 1]); left > 0; --left) {
      if (stop.stop_requested()) return;
      ConvertedImage image = *converted.next();
      counters.bytes_read += image.bytes_read;
      counters.bytes_written += image.record.size();
      ++counters.images;
      shard.add(std::move(image));
    }
    journal.write(shards[i], shard.finish());
  }
}

std::string hashes_path(const std::string& staging, std::uint64_t block) {
  return staging + "/hashes/" + std::to_string(block);
}

}  // namespace

MergePlan::MergePlan(const schemas::MergedImages& merged) {
  for (const auto& group : merged.groups()) {
    for (const auto image : group.images()) images_[image];
    images_[group.images(0)] = {group.labels().begin(), group.labels().end()};
  }
}

bool MergePlan::left_out(std::uint64_t image) const {
  const auto known = images_.find(image);
  return known != images_.end() && known->second.empty();
}

const std::vector<std::int32_t>* MergePlan::labels(std::uint64_t image) const {
  const auto known = images_.find(image);
  return known == images_.end() ? nullptr : &known->second;
}

bool convert_shards(const ShardsToConvert& what, std::span<const std::uint32_t> numbers,
                    unsigned threads, const std::stop_token& stop, ConvertCounters& counters) {
  if (numbers.empty()) return true;
  threads = std::max(1u, threads);
  const std::size_t count = std::min<std::size_t>(threads, numbers.size());
  std::vector<std::vector<std::uint32_t>> shards(count);  // of each lane
  for (std::size_t i = 0; i < numbers.size(); ++i) shards[i % count].push_back(numbers[i]);
  Lanes lanes(stop);
  lanes.run(count, [&](std::size_t lane, const std::stop_token& lane_stop) {
    const auto lane_threads = static_cast<unsigned>(threads / count + (lane < threads % count));
    convert_in_turn(what, shards[lane], lane_threads, kWindowBytes / count, lane_stop, counters);
  });
  return !lanes.stopped();
}

bool is_mended(const ShardsToConvert& what, const schemas::ConvertedShard& entry) {
  ImageNormalizer normalizer(what.image);
  return std::ranges::any_of(entry.problems(), [&](const auto& problem) {
    return convert_image(what, problem.image(), normalizer).reason.empty();
  });
}

bool hash_images(const ShardsToConvert& what, std::span<const std::uint64_t> blocks,
                 unsigned threads, const std::stop_token& stop, ConvertCounters& counters) {
  std::atomic<std::size_t> next = 0;
  NormalizeOptions options = what.image;
  options.jpeg = JpegMode::kKeep;  // the pixels alone are wanted
  Lanes lanes(stop);
  lanes.run(std::max(1u, threads), [&](std::size_t, const std::stop_token& lane_stop) {
    ImageNormalizer normalizer(options);
    for (std::size_t i = next++; i < blocks.size(); i = next++) {
      const std::string path = hashes_path(what.staging, blocks[i]);
      if (what.files.exists(path)) continue;
      const std::uint64_t first = blocks[i] * kHashBlock;
      std::vector<ContentHash> hashes(std::min(kHashBlock, what.listing.images() - first));
      for (std::size_t k = 0; k < hashes.size(); ++k) {
        if (lane_stop.stop_requested()) return;
        try {
          const auto file = read_image(what.listing, what.listing.image(first + k));
          hashes[k] = normalizer.normalize(file).content_hash;
          counters.bytes_read += file.size();
        } catch (const storage::DataError&) {  // told when it is converted
        }
        ++counters.images;
      }
      const auto bytes = std::as_bytes(std::span(hashes));
      storage::write_file_atomically(what.files, path,
                                     {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  });
  return !lanes.stopped();
}

std::vector<ContentHash> read_hashes(storage::FileSystem& files, const std::string& staging,
                                     std::uint64_t block) {
  const std::string content = storage::read_file(files, hashes_path(staging, block));
  std::vector<ContentHash> hashes(content.size() / sizeof(ContentHash));
  std::memcpy(hashes.data(), content.data(), hashes.size() * sizeof(ContentHash));
  return hashes;
}

}  // namespace bit::pipeline
