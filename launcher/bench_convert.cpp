// bit-bench convert: lossless normalising of JPEG files, its check by decoding included, beside the
// library calls of jpegtran -copy none -optimize -restart on the same bytes in memory. Both ways
// take turns, on one thread and on several, so that a busy machine slows both.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "launcher/bench.h"
#include "launcher/bench_support.h"
#include "launcher/exit_code.h"
#include "pipeline/convert/jpeg_transcode.h"
#include "pipeline/convert/normalize_image.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

struct ConvertSettings {
  std::string data;
  std::uint64_t limit = 1000;  // images held in memory
  unsigned threads = 2;
  double seconds = 20;
};

using Convert = std::function<void(std::span<const std::byte>, pipeline::ImageNormalizer&)>;

void as_jpegtran(std::span<const std::byte> file, pipeline::ImageNormalizer&) {
  pipeline::transcode_with_libjpeg(file, {});
}

void normalize(std::span<const std::byte> file, pipeline::ImageNormalizer& normalizer) {
  normalizer.normalize(file);
}

// Without those that are no JPEG, whatever their name, or damaged: they end early.
std::vector<std::string> usable(std::vector<std::string> images) {
  pipeline::ImageNormalizer normalizer({});
  std::erase_if(images, [&](const std::string& image) {
    const auto file = std::as_bytes(std::span(image));
    try {
      as_jpegtran(file, normalizer);
      normalize(file, normalizer);
      return false;
    } catch (const storage::DataError&) {
      return true;
    }
  });
  return images;
}

// Images a second of one round over all of them, taken in turn by the threads.
double round_rate(std::span<const std::string> images, unsigned threads, const Convert& convert) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::exception_ptr> failures(threads);
  const Stopwatch watch;
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 0; i < threads; ++i) {
      workers.emplace_back([&, i] {
        try {
          pipeline::ImageNormalizer normalizer({});
          for (std::size_t image; (image = next.fetch_add(1)) < images.size();) {
            convert(std::as_bytes(std::span(images[image])), normalizer);
          }
        } catch (...) {
          failures[i] = std::current_exception();
        }
      });
    }
  }
  const double seconds = watch.seconds();
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return static_cast<double>(images.size()) / seconds;
}

// Rates of each round: [0] on one thread, [1] on all.
struct Rates {
  std::vector<double> jpegtran[2], normalize[2];
};

Rates measure(const ConvertSettings& settings, std::span<const std::string> images) {
  const unsigned threads[2] = {1, settings.threads};
  Rates rates;
  const Stopwatch watch;
  do {
    for (int i = 0; i < 2; ++i) {
      rates.jpegtran[i].push_back(round_rate(images, threads[i], as_jpegtran));
      rates.normalize[i].push_back(round_rate(images, threads[i], normalize));
    }
  } while (watch.seconds() < settings.seconds);
  return rates;
}

void report(const ConvertSettings& settings, std::span<const std::string> images,
            std::size_t unusable, const Rates& rates) {
  std::uint64_t bytes = 0;
  for (const std::string& image : images) bytes += image.size();
  const double jpegtran = percentile(rates.jpegtran[0], 0.5);
  const double normalize = percentile(rates.normalize[0], 0.5);
  const double jpegtran_all = percentile(rates.jpegtran[1], 0.5);
  const double normalize_all = percentile(rates.normalize[1], 0.5);
  fmt::print("{} images of {} bytes on average, {} rounds; {} left out as no good JPEG\n",
             images.size(), bytes / images.size(), rates.normalize[0].size(), unusable);
  fmt::print("{:<12}{:>16}{:>24}{:>10}\n", "", "images/s, 1 thread",
             fmt::format("images/s, {} threads", settings.threads), "speed-up");
  fmt::print("{:<12}{:>16.1f}{:>24.1f}{:>10.2f}\n", "jpegtran", jpegtran, jpegtran_all,
             jpegtran_all / jpegtran);
  fmt::print("{:<12}{:>16.1f}{:>24.1f}{:>10.2f}\n", "normalize", normalize, normalize_all,
             normalize_all / normalize);
  fmt::print("normalize/jpegtran: {:.2f} on one thread, {:.2f} on {}\n", normalize / jpegtran,
             normalize_all / jpegtran_all, settings.threads);
  const nlohmann::ordered_json result = {
      {"benchmark", "convert"},
      {"threads", settings.threads},
      {"images", images.size()},
      {"mean_bytes", bytes / images.size()},
      {"jpegtran_images_per_second_per_core", jpegtran},
      {"normalize_images_per_second_per_core", normalize},
      {"ratio", normalize / jpegtran},
      {"normalize_images_per_second", normalize_all},
      {"ratio_of_all_threads", normalize_all / jpegtran_all},
      {"scaling", normalize_all / normalize},
      {"rounds", rates.normalize[0].size()},
      {"peak_rss_bytes", peak_rss_bytes()},
  };
  fmt::print("{}\n", result.dump());
}

}  // namespace

int bench_convert(int argc, char** argv) {
  ConvertSettings settings;
  CLI::App app("Images a second of lossless normalising, and of jpegtran's library calls",
               "bit-bench convert");
  app.add_option("--data", settings.data, "folder with .jpg or .jpeg files in it or below")
      ->required();
  app.add_option("--limit", settings.limit, "images held in memory")
      ->capture_default_str()
      ->check(positive());
  app.add_option("--threads", settings.threads)->capture_default_str()->check(positive());
  app.add_option("--seconds", settings.seconds, "to measure, in whole rounds over the images")
      ->capture_default_str()
      ->check(positive());
  if (const auto code = parse_arguments(app, argc, argv)) return *code;
  warn_of_threads(settings.threads);
  const auto all = read_jpeg_folder(settings.data, settings.limit);
  const auto images = usable(all);
  if (images.empty()) throw storage::DataError(settings.data + ": no images");
  report(settings, images, all.size() - images.size(), measure(settings, images));
  return kDone;
}

}  // namespace bit::launcher
