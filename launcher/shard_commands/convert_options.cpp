// The command line of bit-shard convert.
#include <algorithm>
#include <map>
#include <stdexcept>
#include <thread>

#include "launcher/command_line.h"
#include "launcher/shard_commands/commands.h"

namespace bit::launcher {
namespace {

using pipeline::InputFormat;
using pipeline::JpegMode;
using pipeline::Subsampling;

// An option whose value is one of the names of `values`.
template <typename Value>
CLI::Option* add_choice(CLI::App& app, const std::string& name, Value& target,
                        const std::vector<std::pair<std::string, Value>>& values,
                        const std::string& help) {
  std::vector<std::string> words;
  std::string type;
  for (const auto& [word, value] : values) {
    words.push_back(word);
    type += (type.empty() ? "" : "|") + word;
  }
  return app
      .add_option_function<std::string>(
          name,
          [&target, values](const std::string& word) {
            for (const auto& [known, value] : values) {
              if (word == known) target = value;
            }
          },
          help)
      ->check(one_of(words))
      ->type_name(type);
}

void add_column(pipeline::InputOptions& input, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw CLI::ValidationError("--column", "expected ROLE=NAME, not `" + text + "`");
  }
  input.columns[text.substr(0, equals)] = text.substr(equals + 1);
}

void add_input_options(CLI::App& app, pipeline::InputOptions& input) {
  app.add_option("--input", input.paths,
                 "What to read: a path, quoted glob, braces or NAME@N; may be repeated")
      ->required()
      ->type_name("PATH")
      ->allow_extra_args(false)
      ->group("Input");
  add_choice<InputFormat>(app, "--format", input.format,
                          {{"auto", InputFormat::kAuto},
                           {"folders", InputFormat::kFolders},
                           {"list", InputFormat::kList},
                           {"tar", InputFormat::kTar},
                           {"webdataset", InputFormat::kWebDataset},
                           {"tfrecord", InputFormat::kTfrecord}},
                          "What the input is (default: as it looks)")
      ->group("Input");
  const auto text = [&](const char* name, std::string& target, const char* help, const char* type) {
    app.add_option(name, target, help)->type_name(type)->group("Input");
  };
  text("--classes", input.classes_file,
       "The classes in the order of their labels, one a line: a name, or a WordNet id and words",
       "FILE");
  text("--labels", input.labels_file,
       "Labels of a tar or folder without classes, a line each, in the order of the file names",
       "FILE");
  text("--label-names", input.label_names_file,
       "Names of the numbers in --labels, where they are not positions in --classes", "FILE");
  app.add_option("--label-first", input.label_first,
                 "Number of the first class, where labels are numbers (default: 0)")
      ->type_name("N")
      ->group("Input");
  text("--source-split", input.source_split,
       "Split of a TFDS directory or of a dataset (default: as --split)", "SPLIT");
  text("--root", input.root, "Where the paths of a list start (default: beside the list)", "DIR");
  app.add_option_function<std::vector<std::string>>(
         "--column",
         [&input](const std::vector<std::string>& columns) {
           for (const auto& column : columns) add_column(input, column);
         },
         "Column of a list by name or number from 1: path=, labels=, key=, confidence=")
      ->type_name("ROLE=NAME")
      ->allow_extra_args(false)
      ->group("Input");
  app.add_flag_function(
         "--header,!--no-header", [&input](std::int64_t set) { input.header = set > 0; },
         "Whether the first line of a list names its columns (default: as it looks)")
      ->group("Input");
  text("--label-separator", input.label_separator, "Between labels in a cell of a list", "TEXT");
  text("--path-prefix", input.path_prefix, "Put before the paths of a list", "TEXT");
  text("--path-suffix", input.path_suffix, "Put behind the paths of a list: `.jpg`", "TEXT");
  text("--json-label", input.json_label, "Field of WebDataset's .json that holds the labels",
       "NAME");
  app.add_flag("--text-labels", input.text_labels, "WebDataset's .txt members are labels")
      ->group("Input");
}

void add_image_options(CLI::App& app, pipeline::NormalizeOptions& image) {
  add_choice<JpegMode>(
      app, "--jpeg", image.jpeg,
      {{"keep", JpegMode::kKeep}, {"lossless", JpegMode::kLossless}, {"lossy", JpegMode::kLossy}},
      "`lossless`: same pixels, smaller, faster to decode in part (default); `keep`: bytes as "
      "they are; `lossy`: encoded anew")
      ->group("Images");
  app.add_option("--quality", image.quality, "JPEG quality of what is encoded (default: 95)")
      ->check(CLI::Range(1, 100))
      ->type_name("Q")
      ->group("Images");
  add_choice<Subsampling>(
      app, "--subsampling", image.subsampling,
      {{"444", Subsampling::k444}, {"422", Subsampling::k422}, {"420", Subsampling::k420}},
      "Chroma of what is encoded (default: 444)")
      ->group("Images");
  app.add_option("--max-side", image.max_side, "Shrink images whose longer side is above this")
      ->check(CLI::Range(1u, 65500u))
      ->type_name("PIXELS")
      ->group("Images");
  app.add_flag("--restart-intervals,!--no-restart-intervals", image.restart_intervals,
               "Markers that let a reader decode a part of the image (default: on)")
      ->group("Images");
  add_choice<bool>(app, "--exif", image.apply_exif, {{"ignore", false}, {"apply", true}},
                   "The orientation that EXIF states (default: ignore, as TF, Pillow and "
                   "torchvision do)")
      ->group("Images");
}

void add_output_options(CLI::App& app, pipeline::ConvertOptions& options) {
  app.add_option("--output", options.output, "Directory of the dataset, made if it is not there")
      ->required()
      ->type_name("DIR");
  app.add_option("--name", options.name, "Name of the dataset")->required()->type_name("NAME");
  app.add_option("--split", options.split, "Name of the split: train, validation, test, ...")
      ->required()
      ->type_name("SPLIT");
  app.add_option("--shards", options.shards, "Shards (default: of about 128 MiB each)")
      ->check(CLI::Range(1u, 99999u))
      ->type_name("N");
  app.add_option("--seed", options.seed, "Seed of the shuffle (default: 0)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S");
  app.add_flag("--merge-duplicates", options.merge_duplicates,
               "One record for images that are equal in every pixel, with the labels of all "
               "(decodes every image twice)");
  app.add_option("--max-bad", options.max_bad,
                 "Images and empty classes that may be left out (default: 0)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  app.add_flag("--overwrite", options.overwrite, "Replace the split if it exists");
}

}  // namespace

CLI::Option* add_threads(CLI::App& app, unsigned& threads) {
  threads = std::max(1u, std::thread::hardware_concurrency());
  return app.add_option("--threads", threads, "Threads (default: one a core)")
      ->check(CLI::Range(1u, 4096u))
      ->type_name("N");
}

CLI::App* add_convert(CLI::App& app, ConvertCommand& command) {
  auto* convert = app.add_subcommand(
      "convert", "Turn raw images into the shards of a split; stopped, the same command goes on");
  add_output_options(*convert, command.options);
  add_threads(*convert, command.options.threads)
      ->description("Threads of each process (default: one a core)");
  convert->add_flag("--dry-run", command.dry_run,
                    "List the input, show what would be written, and leave nothing");
  add_input_options(*convert, command.input);
  add_image_options(*convert, command.options.image);
  return convert;
}

}  // namespace bit::launcher
