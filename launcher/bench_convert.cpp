// bit-bench convert: lossless normalising of JPEG files, its check by decoding included, beside the
// library calls of jpegtran -copy none -optimize -restart on the same bytes in memory. Both ways
// take turns, on one thread and on several, so that a busy machine slows both.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdint>
#include <ctime>
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

// Rounds over all images.
struct Rounds {
  std::vector<double> rates;        // images a second
  std::vector<double> cpu_seconds;  // of all threads, an image: what a busy machine changes less

  double rate() const { return percentile(rates, 0.5); }
  double cpu_milliseconds() const { return 1e3 * percentile(cpu_seconds, 0.5); }
};

// One more round, of images taken in turn by the threads.
void run_round(std::span<const std::string> images, unsigned threads, const Convert& convert,
               Rounds& rounds) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::exception_ptr> failures(threads);
  const Stopwatch watch;
  const std::clock_t cpu = std::clock();
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
  const auto count = static_cast<double>(images.size());
  rounds.rates.push_back(count / watch.seconds());
  rounds.cpu_seconds.push_back(static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC / count);
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

// On one thread, and on all.
struct Measured {
  Rounds jpegtran, normalize, jpegtran_all, normalize_all;
};

Measured measure(const ConvertSettings& settings, std::span<const std::string> images) {
  Measured measured;
  const Stopwatch watch;
  do {
    run_round(images, 1, as_jpegtran, measured.jpegtran);
    run_round(images, 1, normalize, measured.normalize);
    run_round(images, settings.threads, as_jpegtran, measured.jpegtran_all);
    run_round(images, settings.threads, normalize, measured.normalize_all);
  } while (watch.seconds() < settings.seconds);
  return measured;
}

void report(const ConvertSettings& settings, std::span<const std::string> images,
            std::size_t unusable, const Measured& measured) {
  const auto& [jpegtran, normalize, jpegtran_all, normalize_all] = measured;
  std::uint64_t bytes = 0;
  for (const std::string& image : images) bytes += image.size();
  fmt::print("{} images of {} bytes on average, {} rounds; {} left out as no good JPEG\n",
             images.size(), bytes / images.size(), normalize.rates.size(), unusable);
  fmt::print("{:<12}{:>20}{:>24}{:>10}{:>16}\n", "", "images/s, 1 thread",
             fmt::format("images/s, {} threads", settings.threads), "speed-up", "CPU ms/image");
  const auto print = [](const char* name, const Rounds& one, const Rounds& all) {
    fmt::print("{:<12}{:>20.1f}{:>24.1f}{:>10.2f}{:>16.3f}\n", name, one.rate(), all.rate(),
               all.rate() / one.rate(), one.cpu_milliseconds());
  };
  print("jpegtran", jpegtran, jpegtran_all);
  print("normalize", normalize, normalize_all);
  const double cpu_ratio = jpegtran.cpu_milliseconds() / normalize.cpu_milliseconds();
  fmt::print(
      "normalize/jpegtran in images: {:.2f} on one thread, {:.2f} on {}; {:.2f} by CPU time\n",
      normalize.rate() / jpegtran.rate(), normalize_all.rate() / jpegtran_all.rate(),
      settings.threads, cpu_ratio);
  const nlohmann::ordered_json result = {
      {"benchmark", "convert"},
      {"threads", settings.threads},
      {"images", images.size()},
      {"mean_bytes", bytes / images.size()},
      {"jpegtran_images_per_second_per_core", jpegtran.rate()},
      {"normalize_images_per_second_per_core", normalize.rate()},
      {"ratio", normalize.rate() / jpegtran.rate()},
      {"cpu_ratio", cpu_ratio},
      {"normalize_images_per_second", normalize_all.rate()},
      {"ratio_of_all_threads", normalize_all.rate() / jpegtran_all.rate()},
      {"scaling", normalize_all.rate() / normalize.rate()},
      {"rounds", normalize.rates.size()},
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
