// Directories of TFRecord files that say themselves what is in them: those of TensorFlow Datasets
// (dataset_info.json) and those of this project (dataset.json).
#pragma once

#include <string>
#include <vector>

#include "pipeline/convert/label_names.h"
#include "storage/file.h"

namespace bit::pipeline {

struct TfrecordSplit {
  std::vector<std::string> shards;  // paths, in order
  ClassList classes;                // no names when the directory does not name its classes
};

// Whether find_tfrecord_split() would know the directory.
bool describes_tfrecords(storage::FileSystem& files, const std::string& directory);

// The shards of `split` and the names of the classes, by dataset.json where there is one (it is the
// more exact), else by dataset_info.json, whose file names follow its template or TFDS's default
// {DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}, and the *.labels.txt of its label. Throws
// storage::StorageError; storage::DataError when there is neither file or one cannot be used, there
// is no such split (naming those there are), shards are missing (naming them), or the directory's
// format is not tfrecord.
TfrecordSplit find_tfrecord_split(storage::FileSystem& files, const std::string& directory,
                                  const std::string& split);

}  // namespace bit::pipeline
