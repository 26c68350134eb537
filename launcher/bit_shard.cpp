// bit-shard: raw images to TFRecord shards, and everything that is done with shards: verify,
// inspect, index. The commands are in launcher/shard_commands/; here are their options and the exit
// codes.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <exception>

#include "cluster/mpi_communicator.h"
#include "launcher/command_line.h"
#include "launcher/errors.h"
#include "launcher/shard_commands/commands.h"
#include "launcher/version.h"

namespace bit::launcher {
namespace {

constexpr const char* kExamples = R"(Examples:
  bit-shard convert --input photos/train --output data --name photos --split train
  bit-shard convert --input photos/test --output data --name photos --split test --threads 8
  bit-shard convert --input ILSVRC2012_img_train.tar --output data --name imagenet --split train
  mpirun -n 8 bit-shard convert --input 'wds/shard-{0000..1023}.tar' --output data --name web --split train
  bit-shard verify data
  bit-shard inspect data --html data.html
  bit-shard inspect data --split train --record 17 --output record.jpg
  bit-shard index '/data/imagenet/train-*-of-01024' --classes synsets.txt

convert takes hidden files, Thumbs.db and desktop.ini for no images. A class folder without images
counts against --max-bad like an image that cannot be used; the class keeps its label.

A conversion that was stopped or killed goes on when the same command is given again.
docs/datasets.md has the commands for ILSVRC-2012, ImageNet-21k, lists, WebDataset and TFDS.

Exit codes: 0 done, 2 command line, 3 another bit-shard is changing the dataset, 65 data unusable, 70 internal, 74 storage,
75 stopped by a signal, 76 a rank was lost.)";

// Ranks wait for rank 0 while it lists the input, which takes long on a cold file system.
constexpr auto kRankDeadline = std::chrono::hours(24);

CLI::App* add_verify(CLI::App& app, VerifyCommand& command) {
  auto* verify = app.add_subcommand("verify", "Check every checksum, size and index entry");
  verify->add_option("directory", command.directory, "Directory of the dataset")
      ->required()
      ->check(CLI::ExistingDirectory);
  verify->add_option("--split", command.split, "Only this split")->type_name("SPLIT");
  add_threads(*verify, command.threads);
  verify->add_flag("--decode,!--no-decode", command.decode,
                   "Decode every image, too (default); --no-decode: checksums alone");
  return verify;
}

CLI::App* add_inspect(CLI::App& app, InspectCommand& command) {
  auto* inspect = app.add_subcommand("inspect", "Show what is in a dataset, or in one record");
  inspect->add_option("directory", command.directory, "Directory of the dataset")
      ->required()
      ->check(CLI::ExistingDirectory);
  inspect->add_option("--split", command.split, "Only this split")->type_name("SPLIT");
  auto* record = inspect->add_option("--record", command.record, "Record of the split, from 0");
  record->type_name("N");
  inspect->add_option("--output", command.output, "Write the record's image to this file")
      ->needs(record)
      ->type_name("FILE");
  inspect
      ->add_option("--batch", command.batch,
                   "Records of a batch for the shuffle quality (default: some usual ones)")
      ->check(CLI::PositiveNumber)
      ->excludes(record)
      ->type_name("N");
  auto* html = inspect->add_option("--html", command.html, "Write a page with pictures, too");
  html->excludes(record)->type_name("FILE");
  inspect->add_option("--sheet", command.sheet, "Pictures of each split on it (default: 60)")
      ->needs(html)
      ->check(CLI::Range(0u, 100000u))
      ->type_name("N");
  return inspect;
}

CLI::App* add_index(CLI::App& app, IndexCommand& command) {
  auto* index = app.add_subcommand(
      "index", "Make a dataset of TFRecord files that are there: .idx, index, dataset.json");
  index->add_option("files", command.files, "Directory or quoted glob of TFRecord files")
      ->required()
      ->type_name("DIR-or-GLOB");
  index->add_option("--name", command.name, "Name of the dataset (default: as the files say)")
      ->type_name("NAME");
  index->add_option("--split", command.split, "Name of the split (default: as the files say)")
      ->type_name("SPLIT");
  index->add_option("--classes", command.classes, "File with a class name on each line")
      ->check(CLI::ExistingFile);
  return index;
}

// Under mpirun every rank runs it: rank 0 alone says what all of them met.
int convert_with_ranks(const ConvertCommand& command, int& argc, char**& argv) {
  cluster::MpiEnvironment mpi(&argc, &argv);
  const auto world = mpi.world(kRankDeadline);
  try {
    return run_convert(command, *world);
  } catch (...) {
    const auto failure = std::current_exception();
    if (world->rank() != 0 && is_shared(failure)) return exit_code_of(failure);
    const int code = report_and_exit_code("bit-shard", failure);
    if (!is_shared(failure) && world->size() > 1) world->abort(code);
    return code;
  }
}

int main(int argc, char** argv) {
  CLI::App app("Turns raw images into TFRecord shards, and checks, shows and indexes shards.",
               "bit-shard");
  app.footer(kExamples);
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  ConvertCommand convert;
  VerifyCommand verify;
  InspectCommand inspect;
  IndexCommand index;
  const auto* convert_app = add_convert(app, convert);
  const auto* verify_app = add_verify(app, verify);
  const auto* inspect_app = add_inspect(app, inspect);
  add_index(app, index);
  if (const auto code = parse_arguments(app, argc, argv)) return *code;
  // A file that outgrows its limit is a storage error with a name, not a silent death.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    if (convert_app->parsed()) return convert_with_ranks(convert, argc, argv);
    if (verify_app->parsed()) return run_verify(verify);
    if (inspect_app->parsed()) return run_inspect(inspect);
    return run_index(index);
  } catch (...) {
    return report_and_exit_code("bit-shard", std::current_exception());
  }
}

}  // namespace
}  // namespace bit::launcher

int main(int argc, char** argv) { return bit::launcher::main(argc, argv); }
