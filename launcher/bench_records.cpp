// bit-bench records: records and bytes a second of a split, read side by side as the loader does,
// with and without checksums.
#include <fmt/format.h>

#include <atomic>
#include <exception>
#include <nlohmann/json.hpp>
#include <span>
#include <thread>

#include "launcher/bench.h"
#include "launcher/bench_support.h"
#include "launcher/exit_code.h"
#include "launcher/find_split.h"
#include "storage/dataset.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

constexpr std::uint64_t kPieceRecords = 64;  // a thread's share at a time, as the loader's blocks
// Read at once: stays in a core's own cache until its checksums are computed.
constexpr std::uint64_t kReadBytes = std::uint64_t{512} << 10;

struct RecordsSettings {
  std::string data;
  std::string split = "train";
  unsigned threads = 2;
  double seconds = 1;
};

struct Pass {
  unsigned threads = 1;
  bool verify = true;
  double seconds = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
};

// Reads records [first, last), which may lie in several shards.
void read_piece(const storage::Dataset& dataset, std::uint64_t first, std::uint64_t last,
                bool verify, std::vector<std::byte>& buffer) {
  while (first < last) {
    const auto start = dataset.location(first);
    std::uint64_t end = first;
    std::uint64_t bytes = 0;
    for (; end < last; ++end) {
      const auto location = dataset.location(end);
      if (location.shard != start.shard || location.offset != start.offset + bytes) break;
      if (end > first && bytes + location.bytes > kReadBytes) break;
      bytes += location.bytes;
    }
    if (buffer.size() < bytes) buffer.resize(bytes);
    auto unread = std::span(buffer).first(bytes);
    unread = unread.first(dataset.shard_file(start.shard).read_at(start.offset, unread));
    for (; first < end; ++first) {
      const auto record = storage::parse_record(unread, verify);
      if (record.fault) {
        throw storage::record_error(dataset.shards()[start.shard], first,
                                    dataset.location(first).offset,
                                    storage::describe(*record.fault));
      }
      unread = unread.subspan(record.data.size() + storage::kRecordFramingBytes);
    }
  }
}

// Seconds of one pass over the split.
double read_all(const storage::Dataset& dataset, unsigned threads, bool verify) {
  std::atomic<std::uint64_t> next = 0;
  std::vector<std::exception_ptr> failures(threads);
  const Stopwatch watch;
  {
    std::vector<std::jthread> readers;
    for (unsigned i = 0; i < threads; ++i) {
      readers.emplace_back([&, i] {
        std::vector<std::byte> buffer;
        try {
          for (;;) {
            const std::uint64_t first = next.fetch_add(kPieceRecords);
            if (first >= dataset.records()) break;
            read_piece(dataset, first, std::min(first + kPieceRecords, dataset.records()), verify,
                       buffer);
          }
        } catch (...) {
          failures[i] = std::current_exception();
        }
      });
    }
  }
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return watch.seconds();
}

// Whole passes, until they took `seconds` together.
Pass measure(const storage::Dataset& dataset, unsigned threads, bool verify, double seconds) {
  Pass total{threads, verify};
  do {
    total.seconds += read_all(dataset, threads, verify);
    total.records += dataset.records();
    total.bytes += dataset.bytes();
  } while (total.seconds < seconds);
  return total;
}

nlohmann::ordered_json report(const Pass& pass) {
  const double records = static_cast<double>(pass.records) / pass.seconds;
  const double bytes = static_cast<double>(pass.bytes) / pass.seconds;
  fmt::print("{} threads, checksums {:<3}: {:.0f} records/s, {:.2f} GB/s\n", pass.threads,
             pass.verify ? "on" : "off", records, bytes / 1e9);
  return {{"threads", pass.threads},
          {"checksums", pass.verify},
          {"records_per_second", records},
          {"bytes_per_second", bytes}};
}

}  // namespace

int bench_records(int argc, char** argv) {
  RecordsSettings settings;
  CLI::App app("Records a second of a split, without decoding", "bit-bench records");
  app.add_option("--data", settings.data, "directory of a dataset")->required();
  app.add_option("--split", settings.split)->capture_default_str();
  app.add_option("--threads", settings.threads, "most reader threads")
      ->capture_default_str()
      ->check(positive());
  app.add_option("--seconds", settings.seconds, "for each number of threads, with and without")
      ->capture_default_str()
      ->check(positive());
  if (const auto code = parse_arguments(app, argc, argv)) return *code;
  warn_of_threads(settings.threads);
  const auto dataset = open_split(settings.data, settings.split);
  fmt::print("{} records, {} bytes in {} shards\n", dataset.records(), dataset.bytes(),
             dataset.shards().size());
  read_all(dataset, settings.threads,
           true);  // warm-up: files are opened, the page cache is filled as far as it goes
  auto passes = nlohmann::ordered_json::array();
  for (unsigned threads = 1; threads <= settings.threads; threads *= 2) {
    for (const bool verify : {true, false})
      passes.push_back(report(measure(dataset, threads, verify, settings.seconds)));
  }
  const nlohmann::ordered_json result = {{"benchmark", "records"},
                                         {"records", dataset.records()},
                                         {"bytes", dataset.bytes()},
                                         {"passes", passes},
                                         {"peak_rss_bytes", peak_rss_bytes()},
                                         // Of one thread, verified: what the peers are held to.
                                         {"records_per_second", passes[0]["records_per_second"]},
                                         {"bytes_per_second", passes[0]["bytes_per_second"]}};
  fmt::print("{}\n", result.dump());
  return kDone;
}

}  // namespace bit::launcher
