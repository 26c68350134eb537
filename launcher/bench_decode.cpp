// bit-bench decode: images a second from JPEG bytes in memory to the training square: header, crop,
// decoding, resize and mirror, without files, queues or batches.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "launcher/bench.h"
#include "launcher/bench_support.h"
#include "launcher/exit_code.h"
#include "launcher/find_split.h"
#include "launcher/words.h"
#include "pipeline/jpeg.h"
#include "pipeline/loader.h"
#include "storage/dataset.h"
#include "storage/example.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kWindowSeconds = 1;

struct DecodeSettings {
  std::string data, split = "train";  // of a dataset
  std::string images;                 // or a folder of JPEG files
  std::uint64_t limit = 1000;         // images held in memory
  std::uint32_t image_size = 224;
  unsigned threads = 1;
  double crop_area_min = pipeline::InceptionCropOptions().area_min;
  std::string decoder = "fastest";
  BenchMode mode;
  double seconds = 10;
};

struct Window {
  double seconds = 0;
  std::uint64_t images = 0;
  double megapixels = 0;  // of the images, before their crop
  double rate() const { return static_cast<double>(images) / seconds; }
};

std::vector<std::string> read_split(const DecodeSettings& settings) {
  const auto dataset = open_split(settings.data, settings.split);
  std::vector<std::string> images;
  const std::uint64_t count = std::min(dataset.records(), settings.limit);
  for (std::uint64_t i = 0; i < count; ++i) {
    // Spread over the split.
    const auto location = dataset.location(i * dataset.records() / count);
    std::vector<std::byte> framed(location.bytes);
    framed.resize(dataset.shard_file(location.shard).read_at(location.offset, framed));
    const auto record = storage::parse_record(framed);
    if (record.fault) {
      throw storage::record_error(dataset.shards()[location.shard], i, location.offset,
                                  storage::describe(*record.fault));
    }
    const auto encoded = storage::parse_image_example(record.data).encoded;
    images.emplace_back(reinterpret_cast<const char*>(encoded.data()), encoded.size());
  }
  return images;
}

// Decodes images `next`, `next` + 1, ... (taken by all threads together) until the deadline.
Window decode_until(Clock::time_point deadline, std::span<const std::string> images,
                    const pipeline::PlanImage& plan, std::uint32_t size,
                    pipeline::JpegDecoder& decoder, std::atomic<std::uint64_t>& next) {
  Window window;
  std::vector<std::uint8_t> out(std::size_t{size} * size * 3);
  do {
    const std::uint64_t number = next.fetch_add(1, std::memory_order_relaxed);
    const std::uint64_t image = number % images.size();
    try {
      const auto dimensions = decoder.open(std::as_bytes(std::span(images[image])));
      decoder.decode(plan(dimensions.width, dimensions.height, number / images.size(), image), size,
                     out);
      window.megapixels += 1e-6 * dimensions.width * dimensions.height;
    } catch (const storage::DataError& error) {
      throw storage::DataError(fmt::format("image {}: {}", image, error.what()));
    }
    ++window.images;
  } while (Clock::now() < deadline);
  return window;
}

// One window of all threads, one decoder each.
Window measure_window(const DecodeSettings& settings, double seconds,
                      std::span<const std::string> images,
                      std::deque<pipeline::JpegDecoder>& decoders,
                      std::atomic<std::uint64_t>& next) {
  const auto plan = pipeline::training_plan(
      /*seed=*/0, settings.image_size,
      pipeline::InceptionCropOptions{.area_min = settings.crop_area_min});
  const auto start = Clock::now();
  const auto deadline =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  std::vector<Window> parts(decoders.size());
  std::vector<std::exception_ptr> failures(decoders.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < decoders.size(); ++i) {
      threads.emplace_back([&, i] {
        try {
          parts[i] = decode_until(deadline, images, plan, settings.image_size, decoders[i], next);
        } catch (...) {
          failures[i] = std::current_exception();
        }
      });
    }
  }
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  Window window{std::chrono::duration<double>(Clock::now() - start).count()};
  for (const Window& part : parts) {
    window.images += part.images;
    window.megapixels += part.megapixels;
  }
  return window;
}

void report(const DecodeSettings& settings, std::span<const std::string> images,
            std::vector<Window> windows) {
  std::sort(windows.begin(), windows.end(),
            [](const Window& a, const Window& b) { return a.rate() < b.rate(); });
  const Window& median = windows[windows.size() / 2];
  const double per_core = median.rate() / settings.threads;
  const double thread_microseconds = 1e6 * median.seconds * settings.threads;
  std::uint64_t bytes = 0;
  for (const std::string& image : images) bytes += image.size();
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("{} of {} bytes on average, {} px, {}, {}\n", counted(images.size(), "image"),
             bytes / images.size(), settings.image_size, counted(settings.threads, "thread"),
             counted(windows.size(), "window"));
  fmt::print("{:.1f} images/s ({:.1f} to {:.1f}), {:.1f} a core\n", median.rate(),
             windows.front().rate(), windows.back().rate(), per_core);
  const nlohmann::ordered_json result = {
      {"benchmark", "decode"},
      {"image_size", settings.image_size},
      {"threads", settings.threads},
      {"images", images.size()},
      {"mean_bytes", bytes / images.size()},
      {"images_per_second", median.rate()},
      {"images_per_second_per_core", per_core},
      {"decode_us_per_megapixel", thread_microseconds / median.megapixels},
      {"windows", windows.size()},
      {"peak_rss_bytes", static_cast<std::uint64_t>(usage.ru_maxrss) * 1024},
  };
  fmt::print("{}\n", result.dump());
}

}  // namespace

int bench_decode(int argc, char** argv) {
  DecodeSettings settings;
  CLI::App app("Images a second from JPEG bytes in memory to the training square",
               "bit-bench decode");
  auto* source = app.add_option_group("source", "where the images come from");
  auto* data = source->add_option("--data", settings.data, "directory of a dataset");
  source->add_option("--images", settings.images, "folder with .jpg or .jpeg files in it or below");
  source->require_option(1);
  app.add_option("--split", settings.split)->capture_default_str()->needs(data);
  app.add_option("--limit", settings.limit, "images held in memory")
      ->capture_default_str()
      ->check(positive());
  app.add_option("--image-size", settings.image_size, "pixels a side")
      ->capture_default_str()
      ->check(positive());
  app.add_option("--threads", settings.threads)->capture_default_str()->check(positive());
  app.add_option("--crop-area-min", settings.crop_area_min,
                 "smallest share of the image that a crop covers")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--decoder", settings.decoder,
                 "fastest: our own where it knows the file; or libjpeg")
      ->capture_default_str()
      ->check(one_of({"fastest", "libjpeg"}));
  add_mode(app, settings.mode);
  app.add_option("--seconds", settings.seconds, "to measure, after the warm-up")
      ->capture_default_str()
      ->check(positive());
  if (const auto code = parse_arguments(app, argc, argv)) return *code;
  warn_of_threads(settings.threads);
  apply_simd(settings.mode);
  const auto images = settings.data.empty() ? read_jpeg_folder(settings.images, settings.limit)
                                            : read_split(settings);
  if (images.empty()) {
    throw storage::DataError((settings.data.empty() ? settings.images : settings.data) +
                             ": no images");
  }
  const auto method = settings.decoder == "libjpeg" ? pipeline::JpegMethod::kLibjpeg
                                                    : pipeline::JpegMethod::kFastest;
  std::deque<pipeline::JpegDecoder> decoders;
  for (unsigned i = 0; i < settings.threads; ++i) decoders.emplace_back(method);
  std::atomic<std::uint64_t> next = 0;
  if (settings.mode.on_request) {
    answer_requests([&](double seconds) {
      const double cpu_before = cpu_seconds();
      const Window window = measure_window(settings, seconds, images, decoders, next);
      return MeasuredWindow{window.images, window.seconds, cpu_seconds() - cpu_before};
    });
    return kDone;
  }
  const double window_seconds = std::min(kWindowSeconds, settings.seconds);
  measure_window(settings, window_seconds, images, decoders, next);  // warm-up
  std::vector<Window> windows;
  double measured = 0;
  while (measured + window_seconds / 2 < settings.seconds || windows.empty()) {
    windows.push_back(measure_window(settings, window_seconds, images, decoders, next));
    measured += windows.back().seconds;
  }
  report(settings, images, windows);
  return kDone;
}

}  // namespace bit::launcher
