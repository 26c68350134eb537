// bit-model: looks into weights, checkpoints and runs, verifies and compares them, and takes
// weights from one format into another. Needs neither LibTorch nor MPI.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "launcher/command_line.h"
#include "launcher/exit_code.h"
#include "launcher/model_commands/commands.h"
#include "launcher/version.h"
#include "storage/file.h"
#include "storage/tfrecord.h"
#include "trainer/model_path.h"

namespace bit::launcher {
namespace {

constexpr const char* kExamples = R"(
Examples:
  bit-model inspect runs/first                    the checkpoints of a run
  bit-model inspect runs/first/model.safetensors  the tensors of a file
  bit-model verify runs/first                     every byte of every checkpoint
  bit-model export runs/first --output R50x1.safetensors
  bit-model export runs/first --output R50x1.npz  under the names of the published BiT files
  bit-model import BiT-M-R50x1.npz --output BiT-M-R50x1.safetensors
  bit-model diff runs/first BiT-M-R50x1.npz --no-head

Weights are read from safetensors and .npz files under the names of timm, of the published BiT
files, of big_vision and of big_transfer's PyTorch: which they are, the names tell.)";

// The command's exit code, or that of its failure, said in one line.
int run(const std::function<int()>& command) {
  const auto failed = [](const std::exception& error, int code) {
    print_error("bit-model", error.what());
    return code;
  };
  try {
    return command();
  } catch (const std::invalid_argument& error) {
    return failed(error, kUsage);
  } catch (const trainer::NoUsableCheckpoint& error) {
    return failed(error, kNoCheckpoint);
  } catch (const storage::DataError& error) {
    return failed(error, kDataUnusable);
  } catch (const storage::StorageError& error) {
    return failed(error, kStorage);
  } catch (const std::bad_alloc&) {
    return failed(std::runtime_error("out of memory"), kInternal);
  } catch (const std::exception& error) {
    return failed(error, kInternal);
  }
}

void add_export(CLI::App& command, ExportRequest& request, std::string& format) {
  std::vector<std::string> formats;
  for (const trainer::WeightFormat each : trainer::kWeightFormats) {
    formats.emplace_back(format_name(each));
  }
  command.add_option("path", request.path, "run, checkpoint or weight file")->required();
  command.add_option("--output", request.output, "file to write")->required();
  command
      .add_option("--format", format,
                  "timm (the default for .safetensors), bit (for .npz), big_vision (.npz) or "
                  "big_transfer (.safetensors)")
      ->check(one_of(formats));
  command.add_option("--step", request.step,
                     "step of the checkpoint of a run (default: the newest)");
  command.add_flag("!--no-head", request.head, "leave the head out");
}

void add_diff(CLI::App& command, DiffRequest& request) {
  constexpr const char* kWhat = "weight file, checkpoint or run";
  command.add_option("A", request.a, kWhat)->required();
  command.add_option("B", request.b, kWhat)->required();
  command
      .add_option("--tolerance", request.tolerance,
                  "a tensor counts as equal when its largest difference is at most this part of "
                  "its largest element (default: 0)")
      ->check(CLI::NonNegativeNumber);
  command.add_flag("!--no-head", request.head, "leave the head out of the comparison");
}

}  // namespace
}  // namespace bit::launcher

int main(int argc, char** argv) {
  using namespace bit::launcher;
  CLI::App app("Weights, checkpoints and runs.", "bit-model");
  app.footer(kExamples);
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  std::string path;
  auto* inspect_command =
      app.add_subcommand("inspect", "tensors of a weight file or checkpoint; checkpoints of a run");
  inspect_command->add_option("path", path, "weight file, checkpoint or run directory")->required();
  auto* verify_command = app.add_subcommand(
      "verify", "check every byte of every checkpoint (exit 77 when one is bad) or .npz file");
  verify_command->add_option("path", path, "weight file, checkpoint or run directory")->required();
  ExportRequest request;
  std::string format;
  auto* export_command =
      app.add_subcommand("export", "write weights in a format that other programs read");
  add_export(*export_command, request, format);
  auto* import_command =
      app.add_subcommand("import", "write weights of others as model.safetensors, timm's names");
  import_command->add_option("path", request.path, "weight file")->required();
  import_command->add_option("--output", request.output, "file to write: .safetensors")->required();
  import_command->add_flag("!--no-head", request.head, "leave the head out");
  DiffRequest pair;
  auto* diff_command =
      app.add_subcommand("diff", "compare weights; exit 0 when they are equal, 1 when they differ");
  add_diff(*diff_command, pair);
  if (const auto code = parse_arguments(app, argc, argv)) return *code;
  if (!format.empty()) request.format = bit::trainer::format_named(format);
  // A file that outgrows its limit is a storage error with a name, not a silent death.
  std::signal(SIGXFSZ, SIG_IGN);
  return run([&] {
    if (inspect_command->parsed()) return inspect(path);
    if (verify_command->parsed()) return verify(path);
    if (import_command->parsed()) return import_model(request);
    if (diff_command->parsed()) return diff(pair);
    return export_model(request);
  });
}
