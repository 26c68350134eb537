// The files of a split appear together: they are written in a hidden folder of the dataset's
// directory and moved to their names when all are complete; the entry in dataset.json, written
// last, makes the split exist.
#pragma once

#include <span>
#include <string>

#include "schemas/dataset.pb.h"
#include "storage/file.h"

namespace bit::pipeline {

// <directory>/.<name>-<split>.partial: where the files of a split are written.
std::string staging_folder(const std::string& directory, const std::string& name,
                           const std::string& split);
// The file whose existence says that what lies in the folder can be used: its conversion's plan.
std::string plan_path(const std::string& staging);
// The plan goes first, so that a half removed folder is not mistaken for one to go on with.
void remove_staging(storage::FileSystem& files, const std::string& staging);
// Whether a publication was begun there; it is finished by doing it again.
bool is_publishing(storage::FileSystem& files, const std::string& staging);

// Moves `file_names` from the staging folder, in the place of the split's former files, puts
// `split` into dataset.json and removes the folder. `manifest` is the dataset's as it was read,
// with its name and class names set. Interrupted anywhere and called again it ends the same. Throws
// storage::StorageError, storage::DataError.
void publish_split(storage::FileSystem& files, const std::string& directory,
                   schemas::DatasetManifest manifest, const schemas::DatasetManifest::Split& split,
                   std::span<const std::string> file_names);

}  // namespace bit::pipeline
