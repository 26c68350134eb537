// What a list file says, row by row, whatever its format is. One implementation a format:
// list_table.cpp (columns), list_json.cpp (an object a line).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/convert/list_file.h"
#include "storage/file.h"

namespace bit::pipeline {

inline constexpr std::size_t kMaxLabels = std::size_t{1} << 16;  // of an image

// Views are valid until the next row.
struct ListRow {
  std::uint64_t line = 0;  // from 1
  std::string_view path;   // as written; never empty
  std::string_view key;    // empty: none
  std::vector<std::string_view> labels;
  bool absent = false;  // confidence 0: the labels are not in the image
  std::string fault;    // why the row cannot be used; empty: it can
};

class ListRows {
 public:
  virtual ~ListRows() = default;
  // False at the end. Throws storage::StorageError; storage::DataError naming file and line.
  virtual bool next(ListRow& row) = 0;
};

// By the suffix of the file:
// .csv            cells between commas, quoted as RFC 4180 says
// .tsv            the same between tabs
// .txt            cells between tabs, not quoted; in a line without tabs the words at its end that
//                 are numbers, else its last word, are the labels, and all before them is the path
// .jsonl, .ndjson {"path": ..., "label": ..., "labels": [...], "key": ..., "confidence": ...}
// `file` and `options` must outlive the rows. Throws storage::DataError for another suffix.
std::unique_ptr<ListRows> open_list_rows(const storage::ReadableFile& file,
                                         const ListFileOptions& options);

std::unique_ptr<ListRows> csv_rows(const storage::ReadableFile& file, char separator,
                                   const ListFileOptions& options);
std::unique_ptr<ListRows> text_rows(const storage::ReadableFile& file,
                                    const ListFileOptions& options);
std::unique_ptr<ListRows> json_rows(const storage::ReadableFile& file,
                                    const ListFileOptions& options);

// What a column or a field can be.
enum class ListRole { kPath, kLabels, kKey, kConfidence };
inline constexpr std::size_t kListRoles = 4;
std::string_view list_role_name(ListRole role);
// By one of the names that it usually has, in small or capital letters.
std::optional<ListRole> usual_list_role(std::string_view name);
// Of a name as options.columns has it. Throws storage::DataError.
ListRole list_role_named(const std::string& name);

// Appends the labels of a cell without the spaces around them.
void split_labels(std::string_view cell, std::string_view separator,
                  std::vector<std::string_view>& labels);

}  // namespace bit::pipeline
