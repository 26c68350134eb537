// A directory of checkpoints, each a directory `step-<n>` that appears by rename: parts are written
// and synced under a temporary name, the manifest last, then the directory is renamed and its
// parent synced. Only the rename publishes. The store knows nothing of ranks: the caller
// (trainer/checkpointer) says which rank calls what, and when.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "schemas/checkpoint.pb.h"
#include "storage/file.h"
#include "storage/safetensors.h"

namespace bit::storage {

class CheckpointStore {
 public:
  // `directory` is made when it does not exist.
  CheckpointStore(FileSystem& files, std::string directory);

  const std::string& directory() const { return directory_; }
  // <directory>/step-<n>, n with 12 digits. When a kill came between setting step-<n> aside and
  // publishing it again, <directory>/replaced-step-<n>, which counts as published.
  std::string path(std::uint64_t step) const;

  // Writing. One caller begins; every writer adds its part; when all are in, one caller publishes.
  // Makes an empty temporary directory for `step`, named with `nonce` (unique to this attempt), and
  // returns its path.
  std::string begin(std::uint64_t step, const std::string& nonce);
  // The path begin() returns, for callers on other ranks.
  std::string temporary_path(std::uint64_t step, const std::string& nonce) const;
  // Writes and syncs `part-<part>-of-<parts>.safetensors`; returns its entry for the manifest.
  schemas::CheckpointManifest::Part write_part(const std::string& temporary, std::uint32_t part,
                                               std::uint32_t parts,
                                               std::span<const TensorView> tensors);
  // Writes MANIFEST, syncs the directory, renames it to path(step), syncs the parent. When step was
  // already published (a run repeated it) the old directory is set aside first and removed after.
  void publish(const std::string& temporary, const schemas::CheckpointManifest& manifest);
  void discard(const std::string& temporary);

  // Published steps, ascending. Temporary, quarantined and foreign names are left out.
  std::vector<std::uint64_t> steps() const;

  struct Problem {
    std::uint64_t step = 0;
    std::string reason;
  };
  // The manifest of a checkpoint whose every part has the right size and whole-file checksum, read
  // with `threads` threads. When it is damaged: nullopt and `problem` (may be nullptr) says why.
  // Throws StorageError when its files cannot be read for a reason that says nothing about them,
  // such as permissions.
  std::optional<schemas::CheckpointManifest> validate(std::uint64_t step, Problem* problem,
                                                      unsigned threads = 2) const;
  // Renames step-<n> to corrupt-step-<n>[-<k>] and writes the reason into it.
  void quarantine(const Problem& problem);

  // Removes all but the newest `keep` (at least 1); each is renamed to a trash name first, so a
  // kill never leaves half a checkpoint.
  void prune(std::uint32_t keep);
  // Removes temporary and trash directories, and puts back what was set aside. Only when no other
  // run writes here.
  void remove_leftovers();

 private:
  std::string path_of(const std::string& name) const;
  void undo_publish(const std::string& temporary, const std::string& published,
                    const std::string& replaced);

  FileSystem& files_;
  std::string directory_;
};

// Tensors of a published checkpoint, from all parts, by name. Holds the files mapped. Throws
// StorageError, DataError.
class CheckpointReader {
 public:
  CheckpointReader(const std::string& path, const schemas::CheckpointManifest& manifest);
  const TensorView& tensor(
      const std::string& name) const;  // throws DataError naming checkpoint and tensor
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }

 private:
  std::string path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, TensorView> tensors_;
};

}  // namespace bit::storage
