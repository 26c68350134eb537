// bit-bench NAME ...: one benchmark, picked by its name. The last line it prints is a JSON object.
#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "launcher/bench.h"
#include "launcher/command_line.h"
#include "launcher/errors.h"
#include "launcher/exit_code.h"
#include "launcher/version.h"
#include "launcher/words.h"

namespace bit::launcher {
namespace {

struct Benchmark {
  std::string_view name;
  int (*run)(int argc, char** argv);
  std::string_view what;
};

constexpr std::array<Benchmark, 7> kBenchmarks = {{
    {"records", bench_records, "records a second of a split, with and without checksums"},
    {"decode", bench_decode, "images a second from JPEG bytes in memory to the training square"},
    {"convert", bench_convert, "images a second of rewriting JPEG files for a dataset"},
    {"loader", bench_loader, "images a second of the whole loader"},
    {"step", bench_step, "images a second of forward, backward and update"},
    {"allreduce", bench_allreduce, "seconds of a sum over all ranks, by size (under mpirun)"},
    {"checkpoint", bench_checkpoint, "seconds to write, publish and validate a checkpoint"},
}};

std::string usage() {
  std::string text =
      "Usage: bit-bench NAME [OPTIONS]; bit-bench NAME --help shows the options.\n\n";
  for (const Benchmark& benchmark : kBenchmarks) {
    text += fmt::format("  {:<12}{}\n", benchmark.name, benchmark.what);
  }
  return text + "\nThe last line of the output is a JSON object.\n";
}

}  // namespace
}  // namespace bit::launcher

int main(int argc, char** argv) {
  using namespace bit::launcher;
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h") {
    fmt::print("{}", usage());
    return kDone;
  }
  if (name == "--version") {
    fmt::print("{}\n", version_text());
    return kDone;
  }
  for (const Benchmark& benchmark : kBenchmarks) {
    if (benchmark.name != name) continue;
    try {
      return benchmark.run(argc - 1, argv + 1);
    } catch (
        const std::invalid_argument& error) {  // options that do not fit each other or the data
      print_error(fmt::format("bit-bench {}", name), error.what());
      return kUsage;
    } catch (...) {
      return report_and_exit_code(fmt::format("bit-bench {}", name), std::current_exception());
    }
  }
  std::vector<std::string> names;
  for (const Benchmark& benchmark : kBenchmarks) names.emplace_back(benchmark.name);
  print_error("bit-bench", fmt::format("{} (bit-bench --help shows how)",
                                       name.empty() ? "which benchmark? There are " + joined(names)
                                                    : fmt::format("there is no benchmark '{}'; {}",
                                                                  name, known_names(name, names))));
  return kUsage;
}
