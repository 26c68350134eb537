// A list of images and their labels: CSV, TSV, text as Caffe lists it, or JSON lines
// (docs/datasets.md). Streamed: a list of any length is read in constant memory.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "pipeline/convert/input.h"
#include "storage/file.h"

namespace bit::pipeline {

struct ListFileOptions {
  // Ends in .csv, .tsv, .txt, .jsonl or .ndjson, and in .gz behind that when it is compressed: see
  // open_list_rows() in list_rows.h.
  std::string path;
  // What relative paths in the list are relative to; empty: the folder that the list is in.
  std::string root;
  // Role (path, labels, key, confidence): name of its column, or its number from 1. Empty: by the
  // names in the first line, and without such names path, labels, key.
  std::map<std::string, std::string> columns;
  // Whether the first line names the columns; not set: when there are names in it that are known.
  std::optional<bool> header;
  // Between several labels in a cell. Empty: `;` and `|`, and spaces between numbers or WordNet
  // ids.
  std::string label_separator;
  // Put around the paths of the list: an id becomes a path with the suffix ".jpg".
  std::string path_prefix, path_suffix;
  std::int64_t label_first = 0;  // number of the first class, where labels are numbers
};

// Rows of the same path that follow each other are one image with the labels of all; when the path
// comes again later, that is another image. Rows with the confidence 0 say that a label is not
// there: they are left out, and so is an image that has no others. The key of an image is its cell
// in the key column, else the path as it is in the list. A row that cannot be used is a problem of
// its image, with the line; a list that cannot be read is storage::DataError with the line.
class ListFile final : public Input {
 public:
  ListFile(storage::FileSystem& files, ListFileOptions options);

  std::string kind() const override { return "list file"; }
  void list(ListingWriter& listing) override;

 private:
  storage::FileSystem& files_;
  const ListFileOptions options_;
};

}  // namespace bit::pipeline
