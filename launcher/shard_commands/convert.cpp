// bit-shard convert: raw images to the shards of a split, by one process or by ranks under mpirun.
// Rank 0 lists the input and publishes; the shards are everybody's.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "launcher/shard_commands/commands.h"
#include "launcher/shard_commands/progress_line.h"
#include "launcher/shard_commands/ranks_at_work.h"
#include "launcher/signals.h"
#include "launcher/together.h"
#include "storage/dataset_manifest.h"
#include "storage/lock_file.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

using pipeline::Conversion;
using pipeline::ConvertReport;
using pipeline::Preparation;

std::string first_names(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 10;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return names.size() > kShown ? text + ", ..." : text;
}

std::string counted(std::uint64_t count, const std::string& noun) {
  return grouped(count) + " " + noun + (count == 1 ? "" : "s");
}

void print_line(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

// One conversion, as a rank sees it.
class ConvertRun {
 public:
  ConvertRun(ConvertCommand& command, cluster::Communicator& communicator)
      : options_(command.options), input_(command.input), communicator_(communicator) {
    options_.rank = static_cast<unsigned>(communicator.rank());
    options_.ranks = static_cast<unsigned>(communicator.size());
    input_.threads = options_.threads;
    if (input_.source_split.empty()) input_.source_split = options_.split;
    signals_.install();
  }

  ExitCode run(bool dry_run) {
    if (is_complete()) return kDone;
    const std::string preparation =
        from_rank_zero(communicator_, [&] { return std::string(prepare() ? "fresh" : "resumed"); });
    if (dry_run) {
      from_rank_zero(communicator_, [&] {
        print_plan(Conversion(files_, options_));
        if (preparation == "fresh") pipeline::abandon_conversion(files_, options_);
        return std::string();
      });
      return kDone;
    }
    together(communicator_, [&] { conversion_.emplace(files_, options_); });
    if (!conversion_->refused() && !work()) return stopped();
    from_rank_zero(communicator_, [&] {
      print_report(conversion_->publish());
      return std::string();
    });
    return kDone;
  }

 private:
  bool first() const { return communicator_.rank() == 0; }

  void check_output_is_outside() const {
    const auto output = std::filesystem::weakly_canonical(options_.output);
    for (const std::string& path : input_.paths) {
      const auto input = std::filesystem::weakly_canonical(path);
      if (std::ranges::mismatch(input, output).in1 == input.end()) {
        throw std::invalid_argument(
            fmt::format("--output {} lies in --input {}: it would be taken "
                        "for a part of it",
                        options_.output, path));
      }
    }
  }

  // The same command did it all before.
  bool is_complete() {
    return !from_rank_zero(communicator_, [&]() -> std::string {
              check_output_is_outside();
              opened_ = pipeline::open_input(files_, input_);
              options_.input = opened_.identity;
              pipeline::check_options(files_, options_);
              const auto report = pipeline::report_of_converted(files_, options_);
              if (!report) return "";
              print_line(fmt::format(
                  "{}: complete already: {}, {}, in {} in {} (--overwrite "
                  "converts it again)",
                  options_.split, counted(report->records, "record"), human_bytes(report->bytes),
                  counted(report->shards, "shard"), options_.output));
              return "complete";
            }).empty();
  }

  // The classes of --classes or of the other splits, else those that the input has.
  pipeline::LabelNames known_classes() {
    auto& classes = opened_.classes;
    if (input_.classes_file.empty() && files_.exists(options_.output + "/dataset.json")) {
      const auto manifest = storage::read_manifest(files_, options_.output);
      const bool others = std::ranges::any_of(
          manifest.splits(), [&](const auto& split) { return split.name() != options_.split; });
      if (others && manifest.class_names_size() > 0) {
        classes.names.assign(manifest.class_names().begin(), manifest.class_names().end());
        classes.source = options_.output + "/dataset.json";
      }
    }
    return classes.names.empty() ? pipeline::LabelNames() : pipeline::LabelNames(classes);
  }

  // What would be found out only after hours.
  void check_before_work(const pipeline::Listing& listing) const {
    const auto missing = listing.missing_samples();
    if (!missing.empty() &&
        missing.size() == std::min(listing.images(), pipeline::kListedSamples)) {
      pipeline::abandon_conversion(files_, options_);
      throw storage::DataError(
          missing.front() + ": there is no such file, nor is any other image of " +
          input_.paths.front() + " (--root, --path-prefix and --path-suffix change its paths)");
    }
    if (!missing.empty()) {
      print_line(fmt::format("{} of {} looked for {} not there; the first: {}", missing.size(),
                             counted(std::min(listing.images(), pipeline::kListedSamples), "image"),
                             missing.size() == 1 ? "is" : "are", missing.front()));
    }
    const std::uint64_t free = files_.free_bytes(options_.output);
    if (listing.total_bytes() > free) {
      print_line(fmt::format("warning: the images have {}, and {} are free in {}",
                             human_bytes(listing.total_bytes()), human_bytes(free),
                             options_.output));
    }
  }

  // Rank 0. True when nothing was there to go on from.
  bool prepare() {
    files_.make_directories(options_.output);
    lock_ = std::make_unique<storage::LockFile>(options_.output + kDatasetLock);
    const auto preparation =
        pipeline::prepare_conversion(*opened_.input, known_classes(), files_, options_);
    const Conversion conversion(files_, options_);
    const auto& names = conversion.listing().class_names();
    print_line(fmt::format(
        "{} in {} ({}){}", counted(conversion.listing().images(), "image"),
        names.empty() ? "numbered classes"
                      : fmt::format("{} class{} ({})", grouped(names.size()),
                                    names.size() == 1 ? "" : "es", first_names(names)),
        opened_.input->kind(), input_.paths.size() == 1 ? " in " + input_.paths.front() : ""));
    if (preparation != Preparation::kResumed) check_before_work(conversion.listing());
    if (preparation == Preparation::kRestarted) {
      print_line("the input or the options have changed since it was stopped: it starts over");
    }
    if (preparation == Preparation::kResumed) {
      print_line(fmt::format("goes on: {} are done", counted(conversion.images_done(), "image")));
    }
    return preparation != Preparation::kResumed;
  }

  // False when a signal stopped it.
  bool work() {
    const std::uint64_t images = conversion_->listing().images();
    if (options_.merge_duplicates) {
      const auto hash = [&](const auto& stop, auto& counters) {
        return conversion_->hash(stop, counters);
      };
      if (!show_work("images compared", images, 0, hash)) return false;
      from_rank_zero(communicator_, [&] {
        conversion_->merge();
        return std::string();
      });
    }
    std::uint64_t before = 0;
    if (first()) before = conversion_->images_done();
    return show_work("images", images, before, [&](const auto& stop, auto& counters) {
      return conversion_->convert(stop, counters);
    });
  }

  template <typename Work>
  bool show_work(const std::string& unit, std::uint64_t total, std::uint64_t before, Work work) {
    std::optional<ProgressLine> line;
    if (first()) line.emplace(unit, "img", before);
    return ranks_at_work(communicator_, signals_, work, [&](const WorkDone& done) {
      if (line) line->update(std::min(total, before + done.images), total, done.bytes_read);
    });
  }

  ExitCode stopped() const {
    if (first()) {
      print_line(fmt::format("stopped by {}; the same command goes on",
                             signals_.stop_requested()
                                 ? std::string("signal ") + signals_.stop_signal_name()
                                 : std::string("a signal")));
    }
    return kStoppedEarly;
  }

  void print_plan(const Conversion& conversion) const {
    const auto sizes = conversion.shard_sizes();
    const auto [least, most] = std::ranges::minmax(sizes.images);
    print_line(fmt::format("{} of {}{} each, {} in all ({} free in {})",
                           counted(conversion.shards(), "shard"),
                           least == most ? "" : grouped(least) + " to ", counted(most, "image"),
                           human_bytes(sizes.bytes),
                           human_bytes(files_.free_bytes(options_.output)), options_.output));
    const auto problems = conversion.listing().problems();
    if (!problems.empty()) {
      print_line(fmt::format("{} of the input; the first: {}: {}",
                             counted(problems.size(), "problem"), problems.front().path,
                             problems.front().reason));
    }
  }

  void print_report(const ConvertReport& report) const {
    constexpr std::size_t kShown = 20;
    for (std::size_t i = 0; i < report.bad.size() && i < kShown; ++i) {
      fmt::print("bad: {}: {}\n", report.bad[i].path, report.bad[i].reason);
    }
    if (report.bad.size() > kShown) {
      fmt::print("bad: ... {} more\n", grouped(report.bad.size() - kShown));
    }
    if (!report.bad.empty()) {
      fmt::print("{} listed in {}/quarantine.jsonl\n",
                 report.bad.size() == 1 ? "It is" : "They are", options_.output);
    }
    if (!report.published) refuse(report);
    if (report.duplicate_groups > 0) {
      fmt::print("{} of images equal in every pixel{}; they are listed in {}/duplicates.jsonl\n",
                 counted(report.duplicate_groups, "group"),
                 options_.merge_duplicates
                     ? fmt::format(", {} merged into the records of others", report.merged)
                     : "",
                 options_.output);
    }
    print_line(
        fmt::format("{}: {} records, {}, in {} in {}{}", options_.split, grouped(report.records),
                    human_bytes(report.bytes), counted(report.shards, "shard"), options_.output,
                    report.bad.empty() ? "" : fmt::format(" ({} left out)", report.bad.size())));
  }

  [[noreturn]] void refuse(const ConvertReport& report) const {
    const std::string& input = input_.paths.front();
    if (report.bad.size() <= options_.max_bad) {
      throw storage::DataError(input + ": no image can be used; nothing is published");
    }
    // Problems of the input are not among the listed images.
    const std::uint64_t problems = conversion_->listing().problems().size();
    const std::uint64_t all = conversion_->listing().images() + problems;
    throw storage::DataError(fmt::format(
        "{}: {} of {} cannot be used, and --max-bad is {}; nothing is published "
        "(--max-bad {} leaves them out)",
        input, grouped(report.bad.size()),
        problems == 0 ? counted(all, "image") : grouped(all) + " images and empty classes",
        options_.max_bad, report.bad.size()));
  }

  storage::FileSystem& files_ = storage::posix_file_system();
  pipeline::ConvertOptions& options_;
  pipeline::InputOptions& input_;
  cluster::Communicator& communicator_;
  SignalFlags signals_;
  pipeline::OpenedInput opened_;  // rank 0
  std::unique_ptr<storage::LockFile> lock_;
  std::optional<Conversion> conversion_;
};

}  // namespace

ExitCode run_convert(ConvertCommand command, cluster::Communicator& communicator) {
  return ConvertRun(command, communicator).run(command.dry_run);
}

}  // namespace bit::launcher
