// Labels as an input says them (numbers, names, WordNet ids) to the numbers of classes: through a
// list of classes that is given, or through the names met on the way, which are numbered in byte
// order when all are known.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/file.h"

namespace bit::pipeline {

// The classes in the order of their labels.
struct ClassList {
  std::vector<std::string> names;
  std::string source;  // file, for messages
};

// One class a line: a name, or a WordNet id (`n01440764`) and words after a space, tab or comma, of
// which the id is the class's name. Empty lines at the end are left out. Throws
// storage::StorageError; storage::DataError naming file and line for an empty line or a name that
// is there twice.
ClassList read_class_list(storage::FileSystem& files, const std::string& path);

class LabelNames {
 public:
  // Names and numbers are taken as they come.
  LabelNames() = default;
  // Only these classes.
  explicit LabelNames(ClassList classes);

  // The (preliminary) label of a name, or of the text of a number that is not the name of a class.
  // `first` is the number of the first class where labels are counted. Throws storage::DataError
  // with the reason alone: a name or number that is not in the list, names and numbers mixed.
  std::int32_t label(std::string_view text, std::int64_t first = 0);
  // The label of a class that is known by name: no number is looked for in it.
  std::int32_t label_of_name(std::string_view name);

  struct Final {
    std::vector<std::string> names;      // empty when there were numbers only
    std::vector<std::int32_t> label_of;  // [preliminary label]; empty: they are final
  };
  // When all labels were met.
  Final finish() const;

 private:
  std::int32_t label_of_number(std::int64_t number, std::int64_t first);

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> labels_;
  std::vector<std::string> names_;  // [preliminary label]
  std::string source_;              // of a list that is given
  bool given_ = false;
  bool numbers_ = false;  // labels are numbers without names
};

}  // namespace bit::pipeline
