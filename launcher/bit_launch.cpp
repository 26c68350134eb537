// bit-launch RUN.yaml [key.sub=value ...]: a run, alone or under mpirun. Rank 0 reads the
// configuration, all ranks agree on it, on the binary and on the dataset, and only then work. The
// same command resumes.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/agreement.h"
#include "cluster/mpi_communicator.h"
#include "cluster/topology.h"
#include "launcher/config.h"
#include "launcher/errors.h"
#include "launcher/exit_code.h"
#include "launcher/jsonl_sink.h"
#include "launcher/plan.h"
#include "launcher/progress_sink.h"
#include "launcher/prometheus_sink.h"
#include "launcher/rank_log.h"
#include "launcher/signals.h"
#include "launcher/tensorboard_sink.h"
#include "launcher/together.h"
#include "launcher/version.h"
#include "storage/crc32c.h"
#include "storage/dataset.h"
#include "storage/file.h"
#include "trainer/prepare_cpu.h"
#include "trainer/train_loop.h"

namespace bit::launcher {
namespace {

struct Arguments {
  std::string config;
  std::vector<std::string> overrides;
  bool dry_run = false;
  bool print_config = false;
  bool config_reference = false;
};

// What this rank was started with, as one text. A rank that cannot see the file takes rank 0's word
// for it.
std::string started_with(const Arguments& arguments) {
  std::string text;
  try {
    text = read_file(storage::posix_file_system(), arguments.config);
  } catch (const storage::StorageError&) {
    return {};
  }
  for (const auto& value : arguments.overrides) text += "\n" + value;
  return fmt::format("{:08x}", storage::crc32c(std::as_bytes(std::span(text))));
}

// Rank 0's resolved configuration on every rank. `origins` is filled on rank 0.
LoadedConfig agree_on_config(const Arguments& arguments, cluster::Communicator& communicator) {
  const std::string mine = started_with(arguments);
  const std::string first = communicator.broadcast(mine, 0);
  cluster::require_agreement(communicator, "configuration file and overrides",
                             mine.empty() ? first : mine);
  cluster::require_agreement(communicator, "binary",
                             version_line() + ", checksum " + binary_checksum());
  LoadedConfig loaded;
  const std::string bytes = from_rank_zero(communicator, [&] {
    loaded = load_config(arguments.config, arguments.overrides);
    return loaded.config.SerializeAsString();
  });
  loaded.config.ParseFromString(bytes);
  return loaded;
}

struct Datasets {
  std::optional<storage::Dataset> training;
  std::optional<storage::Dataset> evaluation;
};

Datasets open_datasets(const schemas::RunConfig& config, cluster::Communicator& communicator) {
  Datasets datasets;
  together(communicator, [&] {
    datasets.training = storage::Dataset::open(config.data().path(), config.data().split());
    if (!config.evaluate().split().empty()) {
      datasets.evaluation = storage::Dataset::open(config.data().path(), config.evaluate().split());
    }
  });
  cluster::require_agreement(communicator, "dataset " + config.data().path(),
                             datasets.training->hash());
  return datasets;
}

DatasetFacts facts_of(const storage::Dataset& dataset) {
  return {dataset.records(), dataset.classes(), dataset.bytes()};
}

void prepare_output(const LoadedConfig& loaded, cluster::Communicator& communicator) {
  const std::string& output = loaded.config.output();
  from_rank_zero(communicator, [&] {
    auto& files = storage::posix_file_system();
    files.make_directories(output + "/log");
    files.make_directories(output + "/checkpoints");
    write_file_atomically(files, output + "/config.yaml",
                          print_config(loaded.config, &loaded.origins));
    return std::string();
  });
}

std::unique_ptr<trainer::MetricSinks> make_sinks(const schemas::RunConfig& config, RankLog& log) {
  auto sinks = std::make_unique<trainer::MetricSinks>();
  sinks->add(std::make_unique<JsonlSink>(config.output() + "/metrics.jsonl"));
  sinks->add(std::make_unique<TensorboardSink>(config.output()));
  if (!config.metrics().prometheus().empty()) {
    sinks->add(std::make_unique<PrometheusSink>(config.metrics().prometheus()));
  }
  sinks->add(std::make_unique<ProgressSink>());
  sinks->add(std::make_unique<LogSink>(log));
  return sinks;
}

int run(const Arguments& arguments, cluster::Communicator& communicator) {
  const bool first = communicator.rank() == 0;
  const LoadedConfig loaded = agree_on_config(arguments, communicator);
  const schemas::RunConfig& config = loaded.config;
  if (arguments.print_config) {
    if (first) std::cout << print_config(config, &loaded.origins);
    return kDone;
  }
  const Datasets datasets = open_datasets(config, communicator);
  const cluster::Topology topology = cluster::find_topology(communicator);
  RunPlan plan;
  together(communicator, [&] {
    std::optional<DatasetFacts> evaluation;
    if (datasets.evaluation) evaluation = facts_of(*datasets.evaluation);
    plan = make_plan(config, facts_of(*datasets.training), evaluation, communicator.size(),
                     topology.local_ranks, topology.host_cores);
  });
  if (arguments.dry_run) {
    if (first) std::cout << describe(plan);
    return kDone;
  }

  prepare_output(loaded, communicator);
  SignalFlags signals;
  signals.install();
  RankLog log(config.output(), communicator.rank(), communicator.host());
  log.info(version_line());
  for (const auto& warning : plan.warnings) first ? log.warn(warning) : log.info(warning);
  std::unique_ptr<trainer::MetricSinks> sinks;
  from_rank_zero(communicator, [&] {
    sinks = make_sinks(config, log);
    return std::string();
  });
  trainer::MetricSinks silent;
  trainer::prepare_cpu(static_cast<int>(plan.compute_threads));
  trainer::RunControl control;
  control.take_checkpoint_request = [&] { return signals.take_checkpoint_request(); };
  control.stop_reason = [&]() -> std::string {
    return signals.stop_requested() ? std::string("signal ") + signals.stop_signal_name()
                                    : std::string();
  };
  const trainer::TrainSettings settings = settings_of(config, plan);
  const auto outcome = trainer::train(settings, *datasets.training,
                                      datasets.evaluation ? &*datasets.evaluation : nullptr,
                                      communicator, control, sinks ? *sinks : silent);
  return outcome == trainer::Outcome::kComplete ? kDone : kStoppedEarly;
}

// Every shard stays open: as many files as this user is allowed.
void raise_open_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Failures that every rank meets are printed once and end every rank by itself; any other ends the
// whole job from here.
int leave(cluster::Communicator& communicator, std::exception_ptr failure) {
  const bool shared = is_shared(failure);
  if (shared && communicator.rank() != 0) return exit_code_of(failure);
  const int code = report_and_exit_code(
      communicator.size() > 1 && !shared
          ? fmt::format("bit-launch: rank {} on {}", communicator.rank(), communicator.host())
          : std::string("bit-launch"),
      failure);
  if (!shared && communicator.size() > 1) communicator.abort(code);
  return code;
}

}  // namespace
}  // namespace bit::launcher

int main(int argc, char** argv) {
  using namespace bit::launcher;
  Arguments arguments;
  CLI::App app{"Pre-trains BiT models: mpirun -n RANKS bit-launch RUN.yaml [key.sub=value ...]"};
  app.set_version_flag("--version", version_text());
  app.add_option("config", arguments.config, "the run, as YAML (docs/config.md)");
  app.add_option("overrides", arguments.overrides,
                 "key.sub=value: settings that win over the file");
  app.add_flag("--dry-run", arguments.dry_run, "show the resolved plan and start nothing");
  app.add_flag("--print-config", arguments.print_config,
               "show every setting and where its value comes from");
  app.add_flag("--config-reference", arguments.config_reference, "print docs/config.md");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  if (arguments.config_reference) {
    std::cout << config_reference();
    return kDone;
  }
  if (arguments.config.empty()) {
    std::cerr << "bit-launch: error: which run? bit-launch RUN.yaml, or --help\n";
    return kUsage;
  }
  // A file that outgrows its limit is a storage error with a name, not a silent death.
  std::signal(SIGXFSZ, SIG_IGN);
  raise_open_file_limit();
  try {
    bit::cluster::MpiEnvironment mpi(&argc, &argv);
    const auto world = mpi.world();
    try {
      return run(arguments, *world);
    } catch (...) {
      return leave(*world, std::current_exception());
    }
  } catch (...) {
    return report_and_exit_code("bit-launch", std::current_exception());
  }
}
