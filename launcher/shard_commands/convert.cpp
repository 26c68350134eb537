// bit-shard convert: class folders to the shards of a split.
#include <fmt/format.h>

#include "launcher/shard_commands/commands.h"
#include "launcher/shard_commands/progress_line.h"
#include "pipeline/convert/class_folders.h"
#include "storage/lock_file.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

std::string first_names(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 10;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return names.size() > kShown ? text + ", ..." : text;
}

void print_bad(const pipeline::ConvertReport& report, const std::string& output) {
  for (const auto& image : report.bad) fmt::print("bad: {}: {}\n", image.path, image.reason);
  if (!report.bad.empty()) {
    fmt::print("{} listed in {}/quarantine.jsonl\n", report.bad.size() == 1 ? "It is" : "They are",
               output);
  }
}

std::string count_images(std::uint64_t count) {
  return grouped(count) + (count == 1 ? " image" : " images");
}

}  // namespace

ExitCode run_convert(const ConvertCommand& command) {
  const auto& options = command.options;
  auto& files = storage::posix_file_system();
  pipeline::check_options(files, options);  // listing millions of files takes a while
  const pipeline::ClassFolders input(files, command.input);
  fmt::print("{} in {} classes ({}) in {}\n", count_images(input.entries()),
             input.class_names().size(), first_names(input.class_names()), command.input);
  std::fflush(stdout);
  files.make_directories(options.output);
  const storage::LockFile lock(options.output + kDatasetLock);

  pipeline::ConvertReport report;
  {
    ProgressLine line("images", "img");
    report = pipeline::convert(input, files, options, [&](const pipeline::ConvertProgress& now) {
      line.update(now.images, now.total, now.bytes);
    });
  }
  print_bad(report, options.output);
  if (!report.published) {
    throw storage::DataError(
        report.records == 0 && input.problems().size() <= options.max_bad
            ? fmt::format("{}: no image can be used; nothing is published", command.input)
            : fmt::format("{}: {} of {}{} cannot be used, and --max-bad is {}; nothing is "
                          "published (--max-bad {} leaves them out)",
                          command.input, grouped(report.bad.size()), count_images(input.entries()),
                          input.problems().empty() ? "" : " and classes", options.max_bad,
                          report.bad.size()));
  }
  fmt::print("{}: {} records, {}, in {} shard{} in {}{}\n", options.split, grouped(report.records),
             human_bytes(report.bytes), report.shards, report.shards == 1 ? "" : "s",
             options.output,
             report.bad.empty() ? "" : fmt::format(" ({} left out)", report.bad.size()));
  return kDone;
}

}  // namespace bit::launcher
