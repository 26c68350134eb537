// What TensorFlow Datasets needs beside the shards to read them unchanged:
// tfds.builder_from_directory(directory).as_dataset(split=...). Checked with its version 4.9.10.
#pragma once

#include <string>

#include "schemas/dataset.pb.h"
#include "storage/file.h"

namespace bit::pipeline {

// Writes dataset_info.json (name, and for each split its shards), features.json (the keys of our
// records, `image/encoded` as features["image"]["encoded"], and so on) and, when there are class
// names, image-class-label.labels.txt beside dataset.json. Each file is durable and atomic;
// dataset_info.json, which makes the others be read, is the last. Labels stay as the records have
// them, from 1: class 0 is "background". They are a ClassLabel, int64 without class names, a
// Sequence of either when a record of some split has several (max_labels).
//
// Beside a dataset_info.json that somebody else wrote (TensorFlow Datasets) nothing is written, nor
// when shards of a split do not have names that it can spell (...-00000-of-00016): then what was
// written before goes. Throws storage::StorageError.
void write_tfds_files(storage::FileSystem& files, const std::string& directory,
                      const schemas::DatasetManifest& manifest);

}  // namespace bit::pipeline
