// bit-shard: raw images to TFRecord shards, and everything that is done with shards: verify,
// inspect, index. The commands are in launcher/shard_commands/; here are their options and the exit
// codes.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <thread>

#include "launcher/command_line.h"
#include "launcher/shard_commands/commands.h"
#include "launcher/version.h"
#include "storage/lock_file.h"
#include "storage/tfrecord.h"

namespace bit::launcher {
namespace {

constexpr const char* kExamples = R"(Examples:
  bit-shard convert --input photos/train --output data --name photos --split train
  bit-shard convert --input photos/test --output data --name photos --split test --threads 8
  bit-shard verify data
  bit-shard inspect data --html data.html
  bit-shard inspect data --split train --record 17 --output record.jpg
  bit-shard index '/data/imagenet/train-*-of-01024' --classes synsets.txt

convert takes hidden files, Thumbs.db and desktop.ini for no images. A class folder without images
counts against --max-bad like an image that cannot be used; the class keeps its label.

Exit codes: 0 done, 2 command line, 3 another bit-shard is changing the dataset, 65 data unusable, 70 internal, 74 storage.)";

unsigned cores() { return std::max(1u, std::thread::hardware_concurrency()); }

CLI::Option* add_threads(CLI::App& app, unsigned& threads) {
  threads = cores();
  return app.add_option("--threads", threads, "Threads (default: one a core)")
      ->check(CLI::Range(1u, 4096u))
      ->type_name("N");
}

CLI::App* add_convert(CLI::App& app, ConvertCommand& command) {
  auto* convert = app.add_subcommand(
      "convert", "Turn folders of images, one a class, into the shards of a split");
  auto& options = command.options;
  convert->add_option("--input", command.input, "Folder with a folder of images for each class")
      ->required()
      ->check(CLI::ExistingDirectory);
  convert
      ->add_option("--output", options.output, "Directory of the dataset, made if it is not there")
      ->required()
      ->type_name("DIR");
  convert->add_option("--name", options.name, "Name of the dataset")->required()->type_name("NAME");
  convert->add_option("--split", options.split, "Name of the split: train, validation, test, ...")
      ->required()
      ->type_name("SPLIT");
  convert->add_option("--shards", options.shards, "Shards (default: of about 128 MiB each)")
      ->check(CLI::Range(1u, 99999u))
      ->type_name("N");
  convert->add_option("--seed", options.seed, "Seed of the shuffle (default: 0)")->type_name("S");
  add_threads(*convert, options.threads);
  convert
      ->add_option_function<std::string>(
          "--jpeg",
          [&options](const std::string& mode) {
            options.jpeg =
                mode == "keep" ? pipeline::JpegMode::kKeep : pipeline::JpegMode::kLossless;
          },
          "`lossless`: same pixels, smaller, faster to decode in part (default); `keep`: bytes as "
          "they are")
      ->check(one_of({"keep", "lossless"}))
      ->type_name("keep|lossless");
  convert
      ->add_option("--max-bad", options.max_bad,
                   "Images and empty class folders that may be left out (default: 0)")
      ->type_name("N");
  convert->add_flag("--overwrite", options.overwrite, "Replace the split if it exists");
  return convert;
}

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

int fail(ExitCode code, const std::string& reason) {
  print_error("bit-shard", reason);
  return code;
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
    if (convert_app->parsed()) return run_convert(convert);
    if (verify_app->parsed()) return run_verify(verify);
    if (inspect_app->parsed()) return run_inspect(inspect);
    return run_index(index);
  } catch (const std::invalid_argument& error) {
    return fail(kUsage, error.what());
  } catch (const storage::LockedError& error) {
    return fail(kPreflight, error.what());
  } catch (const storage::DataError& error) {
    return fail(kDataUnusable, error.what());
  } catch (const storage::StorageError& error) {
    return fail(kStorage, error.what());
  } catch (const std::bad_alloc&) {
    return fail(kInternal, "out of memory");
  } catch (const std::exception& error) {
    return fail(kInternal, error.what());
  }
}

}  // namespace
}  // namespace bit::launcher

int main(int argc, char** argv) { return bit::launcher::main(argc, argv); }
