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
#include "launcher/command_line.h"
#include "launcher/config.h"
#include "launcher/errors.h"
#include "launcher/exit_code.h"
#include "launcher/jsonl_sink.h"
#include "launcher/plan.h"
#include "launcher/plan_data.h"
#include "launcher/plan_start.h"
#include "launcher/progress_sink.h"
#include "launcher/prometheus_sink.h"
#include "launcher/rank_log.h"
#include "launcher/signals.h"
#include "launcher/tensorboard_sink.h"
#include "launcher/together.h"
#include "launcher/version.h"
#include "storage/dataset.h"
#include "storage/file.h"
#include "storage/lock_file.h"
#include "trainer/evaluate_weights.h"
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

// What this rank was started with, the lines of the file and the overrides. A rank that cannot see
// the file takes rank 0's word for it.
std::string started_with(const Arguments& arguments) {
  std::string text;
  try {
    text = read_file(storage::posix_file_system(), arguments.config);
  } catch (const storage::StorageError&) {
    return {};
  }
  for (const auto& value : arguments.overrides) text += "\n" + value;
  return text;
}

// Rank 0's resolved configuration on every rank.
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
  loaded.origins = unpack_origins(communicator.broadcast(pack_origins(loaded.origins), 0));
  return loaded;
}

// The same data on every rank.
RunData open_data(const LoadedConfig& loaded, cluster::Communicator& communicator) {
  std::optional<RunData> data;
  together(communicator, [&] { data = open_run_data(loaded); });
  cluster::require_agreement(communicator, "dataset " + loaded.config.data().path(),
                             data->training.hash());
  return std::move(*data);
}

DatasetFacts facts_of(const storage::Dataset& dataset) {
  return {dataset.records(), dataset.classes(), dataset.bytes()};
}

// 0: of some image the index does not know them.
std::uint64_t pixels_of(const storage::Dataset& dataset) {
  std::uint64_t pixels = 0;
  for (std::uint64_t record = 0; record < dataset.records(); ++record) {
    const std::uint64_t image = std::uint64_t{dataset.width(record)} * dataset.height(record);
    if (image == 0) return 0;
    pixels += image;
  }
  return pixels;
}

// The run directory, for this run alone: rank 0 holds the lock before anything in it changes.
std::unique_ptr<storage::LockFile> take_output(const std::string& output,
                                               cluster::Communicator& communicator) {
  std::unique_ptr<storage::LockFile> lock;
  from_rank_zero(communicator, [&] {
    auto& files = storage::posix_file_system();
    files.make_directories(output);
    lock = std::make_unique<storage::LockFile>(output + "/LOCK");
    files.make_directories(output + "/log");
    files.make_directories(output + "/checkpoints");
    return std::string();
  });
  return lock;
}

// config.yaml: what this run was resolved to, once it is accepted.
class ConfigSink final : public trainer::MetricSink {
 public:
  explicit ConfigSink(const LoadedConfig& loaded) : loaded_(loaded) {}
  void start(const trainer::StartReport& report) override {
    if (!report.evaluated_weights.empty()) return;  // perhaps of a run that stands there
    write_file_atomically(storage::posix_file_system(), loaded_.config.output() + "/config.yaml",
                          print_config(loaded_.config, &loaded_.origins));
  }

 private:
  const LoadedConfig& loaded_;
};

// Of rank 0.
struct Reports {
  trainer::MetricSinks sinks;
  const JsonlSink* metrics = nullptr;  // one of them
};

std::unique_ptr<Reports> make_reports(const LoadedConfig& loaded, RankLog& log) {
  const schemas::RunConfig& config = loaded.config;
  auto reports = std::make_unique<Reports>();
  auto metrics = std::make_unique<JsonlSink>(config.output() + "/metrics.jsonl");
  reports->metrics = metrics.get();
  reports->sinks.add(std::make_unique<ConfigSink>(loaded));
  reports->sinks.add(std::move(metrics));
  reports->sinks.add(std::make_unique<TensorboardSink>(config.output()));
  if (!config.metrics().prometheus().empty()) {
    reports->sinks.add(std::make_unique<PrometheusSink>(config.metrics().prometheus()));
  }
  reports->sinks.add(std::make_unique<ProgressSink>());
  reports->sinks.add(std::make_unique<LogSink>(log));
  return reports;
}

void record_failure(const std::exception_ptr& failure, RankLog& log, trainer::MetricSink& sink) {
  log.error(message_of(failure));
  try {
    sink.failed({cause_of(failure), exit_code_of(failure)});
  } catch (const storage::StorageError&) {
    // What failed first is what is reported; a full disk refuses this as well.
  }
}

int run(const Arguments& arguments, cluster::Communicator& communicator) {
  const bool first = communicator.rank() == 0;
  const LoadedConfig loaded = agree_on_config(arguments, communicator);
  const schemas::RunConfig& config = loaded.config;
  if (arguments.print_config) {
    if (first) std::cout << print_config(config, &loaded.origins);
    return kDone;
  }
  const RunData data = open_data(loaded, communicator);
  const cluster::Topology topology = cluster::find_topology(communicator);
  RunPlan plan;
  together(communicator, [&] {
    std::optional<DatasetFacts> evaluation;
    if (data.evaluation) evaluation = facts_of(*data.evaluation);
    if (config.job() == "evaluate") evaluation = facts_of(data.training);
    DatasetFacts training = facts_of(data.training);
    if (config.data().cache() == "decoded") training.pixels = pixels_of(data.training);
    plan = make_plan(loaded, training, evaluation, topology);
  });
  from_rank_zero(communicator, [&] {
    plan.start = find_start(loaded, plan, data.training.hash());
    return std::string();
  });
  if (arguments.dry_run) {
    if (first) std::cout << describe(plan);
    return kDone;
  }

  const auto lock = take_output(config.output(), communicator);
  SignalFlags signals;
  signals.install();
  RankLog log(config.output(), communicator.rank(), communicator.host());
  log.info(version_line());
  for (const auto& warning : plan.warnings) first ? log.warn(warning) : log.info(warning);
  if (lock && !lock->held()) {
    log.warn(config.output() + " is on a file system without locks: see to it that no other run " +
             "writes there");
  }
  std::unique_ptr<Reports> reports;
  from_rank_zero(communicator, [&] {
    reports = make_reports(loaded, log);
    return std::string();
  });
  trainer::MetricSink silence;
  trainer::MetricSink& sink = reports ? reports->sinks : silence;
  trainer::prepare_cpu(static_cast<int>(plan.compute_threads));
  trainer::RunControl control;
  control.take_checkpoint_request = [&] { return signals.take_checkpoint_request(); };
  control.stop_reason = [&]() -> std::string {
    return signals.stop_requested() ? std::string("signal ") + signals.stop_signal_name()
                                    : std::string();
  };
  control.evaluated = [&](std::uint64_t step, const std::string& split) {
    return reports->metrics->has_evaluation(step, split);
  };
  const trainer::TrainSettings settings = settings_of(config, plan);
  try {
    if (plan.evaluate_only) {
      trainer::evaluate_weights(settings, data.training, communicator, sink);
      return kDone;
    }
    const auto outcome =
        trainer::train(settings, data.training, data.evaluation ? &*data.evaluation : nullptr,
                       communicator, control, sink);
    return outcome == trainer::Outcome::kComplete ? kDone : kStoppedEarly;
  } catch (...) {
    record_failure(std::current_exception(), log, sink);
    throw;
  }
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
  CLI::App app("Pre-trains BiT models: mpirun -n RANKS bit-launch RUN.yaml [key.sub=value ...]",
               "bit-launch");
  app.set_version_flag("--version", version_text());
  app.add_option("config", arguments.config, "the run, as YAML (docs/config.md)");
  app.add_option("overrides", arguments.overrides,
                 "key.sub=value: settings that win over the file");
  app.add_flag("--dry-run", arguments.dry_run, "show the resolved plan and start nothing");
  app.add_flag("--print-config", arguments.print_config,
               "show every setting and where its value comes from");
  app.add_flag("--config-reference", arguments.config_reference, "print docs/config.md");
  if (const auto code = parse_arguments(app, argc, argv)) return *code;
  if (arguments.config_reference) {
    std::cout << config_reference();
    return kDone;
  }
  if (arguments.config.empty()) {
    print_error("bit-launch", "which run? bit-launch RUN.yaml, or --help");
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
