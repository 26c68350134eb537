// bit-bench loader: images a second of the whole loader, as training uses it: reading in the order
// of the epochs, decoding, random crops, batches in the ring; and which of them is the limit.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "launcher/bare_loop.h"
#include "launcher/bench.h"
#include "launcher/bench_support.h"
#include "launcher/config.h"
#include "launcher/exit_code.h"
#include "launcher/find_split.h"
#include "launcher/plan.h"
#include "launcher/words.h"
#include "pipeline/loader.h"
#include "storage/dataset.h"

namespace bit::launcher {
namespace {

constexpr double kWindowSeconds = 2;  // a window holds at least one batch

struct LoaderSettings {
  std::string data;
  std::string split = "train";
  unsigned threads = 2;
  unsigned readers = 2;
  unsigned prefetch = 4;
  std::uint64_t batch = 128;
  std::uint32_t image_size = 224;
  double crop_area_min = pipeline::InceptionCropOptions().area_min;
  double seconds = 30;
  std::uint64_t max_epochs = 0;  // 0: as many as the seconds hold
  bool in_order = false;
  bool bare_loop = false;
  BenchMode mode;
  std::string cache = "none";
  std::string cache_memory = "4GiB";
  std::uint32_t cache_short_side = 0;
};

struct Measured {
  double first_batch_cpu_seconds = 0;    // until then
  double first_batch_seconds = 0;        // since the dataset was opened
  std::vector<double> rates;             // images a second of each window
  std::uint64_t images = 0;              // of all windows
  std::uint64_t bad_records = 0;         // met and replaced since the start
  double cpu_seconds = 0;                // likewise
  std::vector<std::uint64_t> epoch_rss;  // bytes, when the epoch's last batch was given
  pipeline::LoaderCounters counters;     // of all windows
};

// Gives batches to windows until there have been enough. The first window, in which the ring and
// the readers fill up, is left out, unless the epochs are counted and it is the only one.
class Measurement {
 public:
  Measurement(pipeline::Loader& loader, const LoaderSettings& settings, const Stopwatch& opened)
      : loader_(loader), settings_(settings), opened_(opened) {}

  Measured run() {
    take();
    measured_.first_batch_seconds = opened_.seconds();
    measured_.first_batch_cpu_seconds = cpu_seconds();
    const double window_seconds = std::min(kWindowSeconds, settings_.seconds);
    window(window_seconds);
    if (!ended_) measured_.rates.clear();
    auto before = loader_.counters();
    const double cpu_before = ended_ ? 0 : cpu_seconds();
    if (ended_) before = {};
    for (double measured = 0; !ended_ && measured < settings_.seconds;) {
      measured += window(window_seconds);
    }
    measured_.counters = pipeline::since(before, loader_.counters());
    measured_.cpu_seconds = cpu_seconds() - cpu_before;
    measured_.images = measured_.counters.images;
    return measured_;
  }

 private:
  bool take() {
    const pipeline::Batch* batch = loader_.next();
    if (batch == nullptr || batch->epoch != epoch_) {
      measured_.epoch_rss.push_back(rss_bytes());
      ++epoch_;
    }
    ended_ = batch == nullptr;
    if (batch != nullptr) measured_.bad_records += batch->bad_records.size();
    return !ended_;
  }

  double window(double seconds) {
    const Stopwatch watch;
    std::uint64_t images = 0;
    while (take()) {
      images += settings_.batch;
      if (watch.seconds() >= seconds) break;
    }
    const double window = watch.seconds();
    if (images > 0) measured_.rates.push_back(static_cast<double>(images) / window);
    return window;
  }

  pipeline::Loader& loader_;
  const LoaderSettings& settings_;
  const Stopwatch& opened_;
  Measured measured_;
  std::uint64_t epoch_ = 0;
  bool ended_ = false;
};

void report(const LoaderSettings& settings, const Measured& measured) {
  const pipeline::LoaderCounters& counters = measured.counters;
  const double median = percentile(measured.rates, 0.5);
  const double cpu_per_1000 = 1000 * measured.cpu_seconds /
                              static_cast<double>(std::max<std::uint64_t>(1, measured.images));
  const double megapixel = counters.decode_microseconds_per_megapixel();
  const std::string bottleneck = pipeline::describe_bottleneck(counters);
  fmt::print("{} px, batch {}, {}, {}; first batch after {:.0f} ms\n", settings.image_size,
             settings.batch, counted(settings.threads, "decoder thread"),
             counted(measured.rates.size(), "window"), 1e3 * measured.first_batch_seconds);
  if (measured.bad_records > 0) {
    fmt::print(stderr, "warning: {} could not be used, others took their place\n",
               counted(measured.bad_records, "record"));
  }
  fmt::print("{:.1f} images/s ({:.1f} to {:.1f}), {:.3f} CPU seconds for 1000 images\n", median,
             percentile(measured.rates, 0), percentile(measured.rates, 1), cpu_per_1000);
  fmt::print("decoders busy {:.0f}% ({:.1f}% of it checksum and parsing), {:.0f} us a megapixel\n",
             100 * counters.decoder_busy_share(),
             counters.decode_busy_seconds > 0
                 ? 100 * counters.parse_seconds / counters.decode_busy_seconds
                 : 0,
             megapixel);
  fmt::print("readers busy {:.0f}%, {:.1f} MB/s, {:.1f} MB of records held; ring {} of {} ready\n",
             100 * counters.reader_busy_share(), 1e-6 * counters.read_bytes_per_second(),
             1e-6 * static_cast<double>(counters.buffered_bytes), counters.ready_batches,
             counters.ring_batches);
  if (settings.cache != "none") {
    fmt::print("cache: {} images in {:.1f} MB, {} of {} images from there\n",
               counters.cached_images, 1e-6 * static_cast<double>(counters.cache_bytes),
               counters.images_from_cache, counters.images);
  }
  fmt::print("bottleneck: {}\n", bottleneck);
  const nlohmann::ordered_json result = {
      {"benchmark", "loader"},
      {"threads", settings.threads},
      {"batch", settings.batch},
      {"image_size", settings.image_size},
      {"crop_area_min", settings.crop_area_min},
      {"in_order", settings.in_order},
      {"cache", settings.cache},
      {"cache_short_side", settings.cache_short_side},
      {"images_per_second", median},
      {"first_batch_seconds", measured.first_batch_seconds},
      {"first_batch_cpu_seconds", measured.first_batch_cpu_seconds},
      {"cpu_seconds_per_1000_images", cpu_per_1000},
      {"bottleneck", bottleneck},
      {"decoder_busy_share", counters.decoder_busy_share()},
      {"parse_seconds", counters.parse_seconds},
      {"decode_microseconds_per_megapixel", megapixel},
      {"reader_busy_share", counters.reader_busy_share()},
      {"consumer_wait_share", counters.consumer_wait_share()},
      {"bytes_read", counters.bytes_read},
      {"bytes_read_per_second", counters.read_bytes_per_second()},
      {"buffered_bytes", counters.buffered_bytes},
      {"peak_buffered_bytes", counters.peak_buffered_bytes},
      {"ring_bytes", counters.ring_bytes},
      {"cache_bytes", counters.cache_bytes},
      {"images_from_cache", counters.images_from_cache},
      {"images", measured.images},
      {"bad_records", measured.bad_records},
      {"windows", measured.rates.size()},
      {"epoch_rss_bytes", measured.epoch_rss},
      {"rss_bytes", rss_bytes()},
      {"peak_rss_bytes", peak_rss_bytes()}};
  fmt::print("{}\n", result.dump());
}

void report(const LoaderSettings& settings, const std::vector<LoaderAndBareLoop>& turns) {
  std::vector<double> ratios;
  for (const LoaderAndBareLoop& turn : turns) ratios.push_back(turn.ratio());
  const double median = percentile(ratios, 0.5);
  fmt::print("whole loader beside decoding and resizing alone, one decoder thread, {}\n",
             counted(turns.size(), "turn"));
  fmt::print("{:.3f} of its speed ({:.3f} to {:.3f})\n", median, percentile(ratios, 0),
             percentile(ratios, 1));
  const nlohmann::ordered_json result = {{"benchmark", "loader"},
                                         {"threads", 1},
                                         {"batch", settings.batch},
                                         {"image_size", settings.image_size},
                                         {"crop_area_min", settings.crop_area_min},
                                         {"bare_loop_ratio", median},
                                         {"bare_loop_ratio_min", percentile(ratios, 0)},
                                         {"bare_loop_ratio_max", percentile(ratios, 1)},
                                         {"turns", turns.size()}};
  fmt::print("{}\n", result.dump());
}

void add_options(CLI::App& app, LoaderSettings& settings) {
  app.add_option("--data", settings.data, "directory of a dataset")->required();
  app.add_option("--split", settings.split)->capture_default_str();
  app.add_option("--threads", settings.threads, "decoder threads")
      ->capture_default_str()
      ->check(positive());
  app.add_option("--readers", settings.readers, "reader threads")
      ->capture_default_str()
      ->check(positive());
  app.add_option("--prefetch", settings.prefetch, "batches in the ring")
      ->capture_default_str()
      ->check(positive());
  app.add_option("--batch", settings.batch)->capture_default_str()->check(positive());
  app.add_option("--image-size", settings.image_size, "pixels a side")
      ->capture_default_str()
      ->check(CLI::Range(1U, 4096U));
  app.add_option("--crop-area-min", settings.crop_area_min,
                 "smallest share of the image that a crop covers; torchvision's and DALI's is 0.08")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--seconds", settings.seconds, "to measure, after the warm-up")
      ->capture_default_str()
      ->check(positive());
  auto* max_epochs =
      app.add_option("--max-epochs", settings.max_epochs, "end after as many, if that comes first")
          ->check(positive());
  auto* cache = app.add_option("--cache", settings.cache, "none, encoded or decoded")
                    ->capture_default_str()
                    ->check(one_of({"none", "encoded", "decoded"}));
  app.add_option("--cache-memory", settings.cache_memory, "bytes of the cache at most")
      ->capture_default_str()
      ->needs(cache);
  app.add_option("--cache-short-side", settings.cache_short_side,
                 "of --cache decoded: longer short sides are shrunk to it, pixels; 0 keeps all")
      ->capture_default_str()
      ->needs(cache);
  auto* in_order = app.add_flag("--in-order", settings.in_order,
                                "decode in the order of the slots instead of the longest first");
  auto* bare_loop = app.add_flag(
      "--bare-loop", settings.bare_loop,
      "compare one decoder thread of the loader with a loop that only decodes and resizes");
  add_mode(app, settings.mode);
  bare_loop->excludes(max_epochs)->excludes(cache)->excludes(in_order);
  bare_loop->excludes(app.get_option("--on-request"));
}

// What the ring holds was decoded before the window began: it does not count.
MeasuredWindow requested_window(pipeline::Loader& loader, const LoaderSettings& settings,
                                double seconds) {
  for (unsigned i = 0; i <= settings.prefetch; ++i) loader.next();
  const Stopwatch watch;
  const double cpu_before = cpu_seconds();
  MeasuredWindow window;
  while (window.seconds < seconds && loader.next() != nullptr) {
    window.images += settings.batch;
    window.seconds = watch.seconds();
  }
  window.cpu_seconds = cpu_seconds() - cpu_before;
  return window;
}

pipeline::LoaderOptions options_of(const LoaderSettings& settings, std::uint64_t cache_limit,
                                   const pipeline::Order& order) {
  pipeline::LoaderOptions options;
  options.image_size = settings.image_size;
  options.decoder_threads = settings.threads;
  options.reader_threads = settings.readers;
  options.prefetch = settings.prefetch;
  options.in_order = settings.in_order;
  options.cache = settings.cache == "encoded"   ? pipeline::CacheKind::kEncoded
                  : settings.cache == "decoded" ? pipeline::CacheKind::kDecoded
                                                : pipeline::CacheKind::kNone;
  options.cache_limit = cache_limit;
  options.cache_short_side = settings.cache_short_side;
  options.last_batch = settings.max_epochs > 0
                           ? settings.max_epochs * order.batches_per_epoch()
                           : std::uint64_t{1} << 40;  // longer than anybody waits
  return options;
}

}  // namespace

int bench_loader(int argc, char** argv) {
  LoaderSettings settings;
  CLI::App app("Images a second of the whole loader, over endless epochs", "bit-bench loader");
  add_options(app, settings);
  if (const auto code = parse_arguments(app, argc, argv)) return *code;
  const auto cache_limit = parse_bytes(settings.cache_memory);
  if (!cache_limit) {
    print_error(app.get_name(), "--cache-memory: '" + settings.cache_memory +
                                    "' is no number of bytes such as 512MiB");
    return kUsage;
  }
  warn_of_threads(settings.threads);
  apply_simd(settings.mode);

  const Stopwatch opened;
  const auto dataset = open_split(settings.data, settings.split);
  const std::uint64_t lanes = default_lanes(settings.batch);
  const pipeline::TrainOrder order({.records = dataset.records(),
                                    .batch = settings.batch,
                                    .lanes = lanes,
                                    .window = window_of_lanes(0, lanes)});
  const auto plan = pipeline::training_plan(
      0, settings.image_size, pipeline::InceptionCropOptions{.area_min = settings.crop_area_min});
  const auto options = options_of(settings, *cache_limit, order);
  if (settings.bare_loop) {
    report(settings, compare_with_bare_loop(dataset, order, plan, options, settings.seconds));
    return kDone;
  }
  pipeline::Loader loader(dataset, order, plan, options);
  if (settings.mode.on_request) {
    answer_requests([&](double seconds) { return requested_window(loader, settings, seconds); });
    return kDone;
  }
  report(settings, Measurement(loader, settings, opened).run());
  return kDone;
}

}  // namespace bit::launcher
