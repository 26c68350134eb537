// bit-bench loader: images a second of the whole loader, as training uses it: reading in the order
// of the epochs, decoding, random crops, batches in the ring.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "launcher/bench.h"
#include "launcher/bench_support.h"
#include "launcher/exit_code.h"
#include "launcher/find_split.h"
#include "launcher/plan.h"
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
  double seconds = 30;
};

// Images a second of each window; the first one, in which the ring and the readers fill up, is left
// out.
std::vector<double> measure(pipeline::Loader& loader, std::uint64_t batch, double seconds) {
  const double window_seconds = std::min(kWindowSeconds, seconds);
  std::vector<double> rates;
  double measured = 0;
  for (bool warm = false; measured < seconds || rates.empty(); warm = true) {
    const Stopwatch watch;
    std::uint64_t images = 0;
    do {
      loader.next();
      images += batch;
    } while (watch.seconds() < window_seconds);
    const double window = watch.seconds();
    if (!warm) continue;
    rates.push_back(static_cast<double>(images) / window);
    measured += window;
  }
  return rates;
}

void report(const LoaderSettings& settings, const std::vector<double>& rates, double seconds,
            const pipeline::LoaderCounters& counters) {
  const double median = percentile(rates, 0.5);
  const double decoding = counters.decode_busy_seconds / (seconds * settings.threads);
  const double reading = counters.read_busy_seconds / (seconds * settings.readers);
  fmt::print("{} px, batch {}, {} decoder threads, {} windows\n", settings.image_size,
             settings.batch, settings.threads, rates.size());
  fmt::print("{:.1f} images/s ({:.1f} to {:.1f}), decoders busy {:.0f}%, readers busy {:.0f}%\n",
             median, percentile(rates, 0), percentile(rates, 1), 100 * decoding, 100 * reading);
  const nlohmann::ordered_json result = {{"benchmark", "loader"},
                                         {"threads", settings.threads},
                                         {"batch", settings.batch},
                                         {"image_size", settings.image_size},
                                         {"images_per_second", median},
                                         {"decoder_busy_share", decoding},
                                         {"reader_busy_share", reading},
                                         {"bytes_read", counters.bytes_read},
                                         {"peak_buffered_bytes", counters.peak_buffered_bytes},
                                         {"windows", rates.size()},
                                         {"peak_rss_bytes", peak_rss_bytes()}};
  fmt::print("{}\n", result.dump());
}

}  // namespace

int bench_loader(int argc, char** argv) {
  LoaderSettings settings;
  CLI::App app("Images a second of the whole loader, over endless epochs", "bit-bench loader");
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
      ->check(positive());
  app.add_option("--seconds", settings.seconds, "to measure, after the warm-up")
      ->capture_default_str()
      ->check(positive());
  if (const auto code = parse_arguments(app, argc, argv)) return *code;
  warn_of_threads(settings.threads);

  const auto dataset = open_split(settings.data, settings.split);
  const std::uint64_t lanes = default_lanes(settings.batch);
  const pipeline::TrainOrder order({.records = dataset.records(),
                                    .batch = settings.batch,
                                    .lanes = lanes,
                                    .window = window_of_lanes(0, lanes)});
  pipeline::LoaderOptions options;
  options.image_size = settings.image_size;
  options.decoder_threads = settings.threads;
  options.reader_threads = settings.readers;
  options.prefetch = settings.prefetch;
  options.last_batch = std::uint64_t{1} << 40;  // longer than anybody waits
  const Stopwatch watch;
  pipeline::Loader loader(dataset, order, pipeline::training_plan(0, settings.image_size, {}),
                          options);
  const auto rates = measure(loader, settings.batch, settings.seconds);
  report(settings, rates, watch.seconds(), loader.counters());
  return kDone;
}

}  // namespace bit::launcher
