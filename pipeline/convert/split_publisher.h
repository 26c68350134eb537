// The files of a split appear together: they are written in a hidden folder of the dataset's
// directory and moved to their names when all are complete; the entry in dataset.json, written
// last, makes the split exist.
#pragma once

#include <string>
#include <vector>

#include "schemas/dataset.pb.h"
#include "storage/file.h"

namespace bit::pipeline {

// One conversion of a split at a time. Methods throw storage::StorageError, storage::DataError.
class SplitPublisher {
 public:
  // Empties the staging folder; what a killed conversion left there goes.
  SplitPublisher(storage::FileSystem& files, std::string directory, std::string name,
                 std::string split);
  // Removes the staging folder, with what was not published.
  ~SplitPublisher();
  SplitPublisher(const SplitPublisher&) = delete;
  SplitPublisher& operator=(const SplitPublisher&) = delete;

  // Where the files of the split are to be written: <directory>/.<name>-<split>.partial
  const std::string& staging() const { return staging_; }
  // Moves every staged file in, in the place of the split's former files, and puts `split` into
  // dataset.json. `manifest` is the dataset's as it was read, with its name and class names set.
  void publish(schemas::DatasetManifest manifest, const schemas::DatasetManifest::Split& split);

 private:
  void remove_former_files();

  storage::FileSystem& files_;
  std::string directory_;
  std::string name_;
  std::string split_;
  std::string staging_;
};

}  // namespace bit::pipeline
