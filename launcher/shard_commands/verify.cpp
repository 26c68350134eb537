// bit-shard verify: every checksum, size and index entry of a dataset, and every image.
#include <fmt/format.h>

#include "launcher/find_split.h"
#include "launcher/shard_commands/commands.h"
#include "launcher/shard_commands/progress_line.h"
#include "pipeline/convert/verify_split.h"
#include "storage/dataset_manifest.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

void print_duplicates(const pipeline::SplitDuplicates& duplicates, const char* what) {
  if (duplicates.records == 0) return;
  fmt::print("  {} record{} repeat{} the {} of another (no fault):\n", grouped(duplicates.records),
             duplicates.records == 1 ? "" : "s", duplicates.records == 1 ? "s" : "", what);
  for (const auto& [first, again] : duplicates.first) fmt::print("    {} = {}\n", again, first);
  if (duplicates.records > duplicates.first.size()) fmt::print("    ...\n");
}

// Returns the number of problems.
std::uint64_t verify(const VerifyCommand& command, const schemas::DatasetManifest& manifest,
                     const schemas::DatasetManifest::Split& split) {
  const pipeline::VerifyOptions options{.threads = command.threads, .decode = command.decode};
  pipeline::VerifyReport report;
  {
    ProgressLine line("shards of " + split.name(), "shards");
    report = pipeline::verify_split(
        storage::posix_file_system(), command.directory, manifest, split, options,
        [&](std::uint64_t done, std::uint64_t total) { line.update(done, total, 0); });
  }
  for (const auto& problem : report.problems) fmt::print("{}\n", problem.text());
  fmt::print("{}: {} records, {}, {}{}\n", split.name(), grouped(report.records),
             human_bytes(report.bytes), command.decode ? "decoded, " : "",
             report.problems.empty() ? "all good"
                                     : fmt::format("{} problem{}", report.problems.size(),
                                                   report.problems.size() == 1 ? "" : "s"));
  print_duplicates(report.same_key, "key");
  print_duplicates(report.same_pixels, "pixels");
  return report.problems.size();
}

}  // namespace

ExitCode run_verify(const VerifyCommand& command) {
  const auto manifest = find_dataset(command.directory);
  if (!command.split.empty()) known_split(command.directory, manifest, command.split);
  std::uint64_t problems = 0;
  for (const auto& split : manifest.splits()) {
    if (command.split.empty() || command.split == split.name()) {
      problems += verify(command, manifest, split);
    }
  }
  if (problems == 0) return kDone;
  throw storage::DataError(
      fmt::format("{}: {} problem{} found", command.directory, problems, problems == 1 ? "" : "s"));
}

}  // namespace bit::launcher
