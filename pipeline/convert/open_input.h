// From what a person typed to the input that reads it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/convert/input.h"
#include "pipeline/convert/label_names.h"
#include "storage/file.h"

namespace bit::pipeline {

enum class InputFormat { kAuto, kFolders, kList, kTar, kWebDataset, kTfrecord };

struct InputOptions {
  // Paths, globs, braces, NAME@N (storage/file_patterns.h).
  std::vector<std::string> paths;
  InputFormat format = InputFormat::kAuto;  // by what lies at the paths
  std::string source_split;                 // of a directory that describes its TFRecord files
  std::string classes_file;                 // a class list; empty: none is given
  // Of tars and folders without classes, see TarInputOptions.
  std::string labels_file, label_names_file;
  std::int64_t label_first = 0;
  // See ListFileOptions.
  std::string root;
  std::map<std::string, std::string> columns;
  std::optional<bool> header;
  std::string label_separator, path_prefix, path_suffix;
  // See WebDatasetOptions.
  std::string json_label;
  bool text_labels = false;
  unsigned threads = 1;
};

struct OpenedInput {
  std::unique_ptr<Input> input;
  // The classes that classes_file gives, or that the input names by itself; none else.
  ClassList classes;
  // All that decides what is listed, for ConvertOptions::input: the options, and the content of the
  // files that they name besides the images.
  std::string identity;
};

// `files` must outlive the input. Throws storage::StorageError; storage::DataError when the paths
// are not there or not of the format; std::invalid_argument for options that do not go together.
OpenedInput open_input(storage::FileSystem& files, const InputOptions& options);

}  // namespace bit::pipeline
