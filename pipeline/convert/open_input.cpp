#include "pipeline/convert/open_input.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "pipeline/convert/class_folders.h"
#include "pipeline/convert/list_file.h"
#include "pipeline/convert/member_names.h"
#include "pipeline/convert/tar_input.h"
#include "pipeline/convert/tfds_directory.h"
#include "pipeline/convert/tfrecord_input.h"
#include "pipeline/convert/webdataset.h"
#include "storage/crc32c.h"
#include "storage/file_patterns.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

template <std::size_t N>
bool ends_in(std::string_view path, const std::array<std::string_view, N>& suffixes) {
  std::string lower(path);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::ranges::any_of(suffixes, [&](std::string_view s) { return lower.ends_with(s); });
}

bool is_tar(std::string_view path) { return is_tar_name(path, /*or_gzip=*/true); }
bool is_list(std::string_view path) {
  return ends_in(
      path, std::array<std::string_view, 10>{".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".csv.gz",
                                             ".tsv.gz", ".txt.gz", ".jsonl.gz", ".ndjson.gz"});
}

// Whether a file is named as TFRecord files are: `tfrecord` in its name, or -00000-of-00016.
bool is_tfrecord(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (name.ends_with(".idx") || name.ends_with(".index")) return false;
  return name.find("tfrecord") != std::string_view::npos ||
         name.find("-of-") != std::string_view::npos;
}

bool is_directory(storage::FileSystem& files, const std::string& path) {
  try {
    files.list(path);
    return true;
  } catch (const storage::StorageError& error) {
    if (error.code() == std::errc::not_a_directory) return false;
    throw;
  }
}

// The files of a directory for which `wanted` is true, in byte order.
std::vector<std::string> files_in(storage::FileSystem& files, const std::string& directory,
                                  bool (*wanted)(std::string_view)) {
  std::vector<std::string> paths;
  for (const auto& entry : files.list(directory)) {
    if (!entry.is_directory && entry.name.front() != '.' && wanted(entry.name)) {
      paths.push_back(directory + "/" + entry.name);
    }
  }
  return paths;
}

// What the paths of the options stand for.
struct Source {
  std::vector<std::string> paths;
  bool directory = false;  // there is one path, and it is a directory
};

Source find_source(storage::FileSystem& files, const InputOptions& options) {
  Source source;
  for (const std::string& pattern : options.paths) {
    if (pattern.find_first_of("*?[{@") == std::string::npos && !files.exists(pattern)) {
      throw std::invalid_argument("--input " + pattern + ": there is no such file or directory");
    }
    for (auto& path : storage::expand_pattern(files, pattern)) {
      while (path.size() > 1 && path.back() == '/') path.pop_back();
      source.paths.push_back(std::move(path));
    }
  }
  if (source.paths.empty()) throw std::invalid_argument("no input is given");
  source.directory = source.paths.size() == 1 && is_directory(files, source.paths.front());
  return source;
}

InputFormat format_of_tars(storage::FileSystem& files, const std::string& first) {
  return looks_like_webdataset(files, first) ? InputFormat::kWebDataset : InputFormat::kTar;
}

// A folder of versions, as TensorFlow Datasets has it, is not one of classes. All of them hold
// TFRecords if the first does.
void refuse_parent_of_tfrecords(storage::FileSystem& files, const std::string& directory) {
  const auto entries = files.list(directory);
  const auto first = std::ranges::find(entries, true, &storage::DirectoryEntry::is_directory);
  if (first == entries.end()) return;
  const std::string below = directory + "/" + first->name;
  if (!describes_tfrecords(files, below)) return;
  throw std::invalid_argument("--input " + directory + ": TFRecord files are in " + below +
                              ": is that the input you mean?");
}

InputFormat format_of_directory(storage::FileSystem& files, const InputOptions& options,
                                const std::string& directory) {
  if (describes_tfrecords(files, directory)) return InputFormat::kTfrecord;
  if (const auto tars = files_in(files, directory, is_tar); !tars.empty()) {
    return format_of_tars(files, tars.front());
  }
  if (!files_in(files, directory, is_tfrecord).empty()) return InputFormat::kTfrecord;
  refuse_parent_of_tfrecords(files, directory);
  return options.labels_file.empty() ? InputFormat::kFolders : InputFormat::kTar;
}

void check_one_root(storage::FileSystem& files, const Source& source) {
  if (source.paths.size() > 1 && is_directory(files, source.paths.front())) {
    throw std::invalid_argument(
        "--input: one folder of class folders at a time (a list file can "
        "name images of several)");
  }
}

InputFormat find_format(storage::FileSystem& files, const InputOptions& options,
                        const Source& source) {
  if (options.format != InputFormat::kAuto) return options.format;
  const std::string& first = source.paths.front();
  if (source.directory) return format_of_directory(files, options, first);
  check_one_root(files, source);
  if (is_tar(first)) return format_of_tars(files, first);
  if (is_list(first)) return InputFormat::kList;
  if (is_tfrecord(first)) return InputFormat::kTfrecord;
  throw std::invalid_argument("--input " + first +
                              ": its name does not say what it is; --format does");
}

// An option that the input has no use for would leave out what it was given for.
void refuse_unused(const InputOptions& options, InputFormat format) {
  const auto only_for = [&](const char* option, bool given, InputFormat owner, const char* what) {
    if (!given || format == owner) return;
    throw std::invalid_argument(std::string(option) + " is for " + what + ", which --input is not");
  };
  constexpr const char* kLists = "list files";
  constexpr const char* kTars = "tars and folders of images without classes";
  constexpr const char* kWebDatasets = "WebDataset tars";
  only_for("--root", !options.root.empty(), InputFormat::kList, kLists);
  only_for("--column", !options.columns.empty(), InputFormat::kList, kLists);
  only_for("--header", options.header.has_value(), InputFormat::kList, kLists);
  only_for("--label-separator", !options.label_separator.empty(), InputFormat::kList, kLists);
  only_for("--path-prefix", !options.path_prefix.empty(), InputFormat::kList, kLists);
  only_for("--path-suffix", !options.path_suffix.empty(), InputFormat::kList, kLists);
  only_for("--labels", !options.labels_file.empty(), InputFormat::kTar, kTars);
  only_for("--json-label", !options.json_label.empty(), InputFormat::kWebDataset, kWebDatasets);
  only_for("--text-labels", options.text_labels, InputFormat::kWebDataset, kWebDatasets);
  if (!options.label_names_file.empty() && options.labels_file.empty()) {
    throw std::invalid_argument("--label-names names the numbers in --labels, which is not given");
  }
}

std::unique_ptr<Input> open_list(storage::FileSystem& files, const InputOptions& options,
                                 const Source& source) {
  if (source.paths.size() != 1) throw std::invalid_argument("--input: one list file at a time");
  return std::make_unique<ListFile>(files,
                                    ListFileOptions{.path = source.paths.front(),
                                                    .root = options.root,
                                                    .columns = options.columns,
                                                    .header = options.header,
                                                    .label_separator = options.label_separator,
                                                    .path_prefix = options.path_prefix,
                                                    .path_suffix = options.path_suffix,
                                                    .label_first = options.label_first});
}

std::unique_ptr<Input> open_tfrecords(storage::FileSystem& files, const InputOptions& options,
                                      const Source& source, ClassList& classes) {
  TfrecordOptions records{source.paths, {}, options.threads};
  const std::string& first = source.paths.front();
  if (source.directory && describes_tfrecords(files, first)) {
    auto split = find_tfrecord_split(files, first, options.source_split);
    records.paths = std::move(split.shards);
    records.class_names = split.classes.names;
    if (classes.names.empty()) classes = split.classes;
  } else if (source.directory) {
    records.paths = files_in(files, first, is_tfrecord);
  }
  if (records.class_names.empty()) records.class_names = classes.names;
  storage::check_shard_sets(records.paths);
  return std::make_unique<TfrecordInput>(files, std::move(records));
}

std::unique_ptr<Input> open_webdataset(storage::FileSystem& files, const InputOptions& options,
                                       const Source& source) {
  WebDatasetOptions tars{.paths = source.paths,
                         .json_label = options.json_label,
                         .text_labels = options.text_labels,
                         .label_first = options.label_first,
                         .threads = options.threads};
  if (source.directory) tars.paths = files_in(files, source.paths.front(), is_tar);
  return std::make_unique<WebDataset>(files, std::move(tars));
}

std::unique_ptr<Input> open_tars(storage::FileSystem& files, const InputOptions& options,
                                 const Source& source) {
  return std::make_unique<TarInput>(files,
                                    TarInputOptions{.paths = source.paths,
                                                    .labels_file = options.labels_file,
                                                    .label_first = options.label_first,
                                                    .label_names_file = options.label_names_file,
                                                    .threads = options.threads});
}

std::string identity_of(storage::FileSystem& files, const InputOptions& options) {
  std::string text;
  const auto add = [&](std::string_view name, std::string_view value) {
    text.append(name).append("=").append(value).append("\n");
  };
  const auto add_file = [&](std::string_view name, const std::string& path) {
    if (path.empty()) return;
    const std::string content = storage::read_file(files, path);
    add(name, std::to_string(storage::crc32c(std::as_bytes(std::span(content)))));
  };
  for (const auto& path : options.paths) add("path", path);
  add("format", std::to_string(static_cast<int>(options.format)));
  add("source_split", options.source_split);
  add_file("classes", options.classes_file);
  add_file("labels", options.labels_file);
  add_file("label_names", options.label_names_file);
  add("label_first", std::to_string(options.label_first));
  add("root", options.root);
  for (const auto& [role, column] : options.columns) add("column " + role, column);
  add("header", options.header ? (*options.header ? "yes" : "no") : "");
  add("label_separator", options.label_separator);
  add("path_prefix", options.path_prefix);
  add("path_suffix", options.path_suffix);
  add("json_label", options.json_label);
  add("text_labels", options.text_labels ? "yes" : "no");
  return text;
}

}  // namespace

OpenedInput open_input(storage::FileSystem& files, const InputOptions& options) {
  OpenedInput opened;
  const Source source = find_source(files, options);
  if (!options.classes_file.empty()) opened.classes = read_class_list(files, options.classes_file);
  const InputFormat format = find_format(files, options, source);
  refuse_unused(options, format);
  switch (format) {
    case InputFormat::kList:
      opened.input = open_list(files, options, source);
      break;
    case InputFormat::kTar:
      opened.input = open_tars(files, options, source);
      break;
    case InputFormat::kWebDataset:
      opened.input = open_webdataset(files, options, source);
      break;
    case InputFormat::kTfrecord:
      opened.input = open_tfrecords(files, options, source, opened.classes);
      break;
    case InputFormat::kFolders:
    case InputFormat::kAuto:
      if (!source.directory) {
        throw std::invalid_argument("--input " + source.paths.front() +
                                    ": class folders are in one directory");
      }
      opened.input = std::make_unique<ClassFolders>(files, source.paths.front());
      break;
  }
  opened.identity = identity_of(files, options);
  return opened;
}

}  // namespace bit::pipeline
