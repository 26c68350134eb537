// A split of a dataset, looked for by people's words: a directory or a name that is not there is a
// mistake of theirs, said with the names there are; anything else that is wrong is the data's.
#pragma once

#include <stdexcept>
#include <string>

#include "schemas/dataset.pb.h"
#include "storage/dataset.h"

namespace bit::launcher {

// what() names the directory; reason() is the rest of the sentence.
class SplitNotFound : public std::invalid_argument {
 public:
  enum class Part { kDirectory, kSplit };
  SplitNotFound(Part part, const std::string& what, std::string reason)
      : std::invalid_argument(what), part_(part), reason_(std::move(reason)) {}
  Part part() const { return part_; }
  const std::string& reason() const { return reason_; }

 private:
  Part part_;
  std::string reason_;
};

// dataset.json of a directory. Throws SplitNotFound when the directory or the file is not there;
// DataError, StorageError.
schemas::DatasetManifest find_dataset(const std::string& directory);

// The entry of a split, in `manifest`. Throws SplitNotFound naming the splits there are.
const schemas::DatasetManifest::Split& known_split(const std::string& directory,
                                                   const schemas::DatasetManifest& manifest,
                                                   const std::string& split);

// The same; DataError when its index is missing, with the command that writes it.
const schemas::DatasetManifest::Split& find_split(const std::string& directory,
                                                  const schemas::DatasetManifest& manifest,
                                                  const std::string& split);

// Both, and storage::Dataset::open.
storage::Dataset open_split(const std::string& directory, const std::string& split);

}  // namespace bit::launcher
