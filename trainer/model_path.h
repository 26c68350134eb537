// What holds weights: a file, a checkpoint, or a run with its checkpoints. Needs no LibTorch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schemas/checkpoint.pb.h"
#include "storage/checkpoint_store.h"
#include "storage/tfrecord.h"

namespace bit::trainer {

enum class ModelPathKind { kWeights, kCheckpoint, kRun };

struct ModelPath {
  ModelPathKind kind = ModelPathKind::kWeights;
  std::string path;        // of the file, or of the directory of checkpoints
  std::uint64_t step = 0;  // of a checkpoint
};

// A file is weights; a directory named step-<n> a checkpoint; a directory that holds checkpoints/,
// or step-<n> directories, a run. Throws StorageError when there is nothing; DataError when it is
// none of these.
ModelPath find_model(const std::string& path);

// There is no checkpoint, or the one that was asked for is damaged.
class NoUsableCheckpoint : public storage::DataError {
 public:
  using DataError::DataError;
};

// Why a checkpoint is bad, without the path that is said beside it.
std::string reason_within(const storage::CheckpointStore& store,
                          const storage::CheckpointStore::Problem& problem);

// A checkpoint whose every byte was checked. Throws NoUsableCheckpoint with the reason.
schemas::CheckpointManifest checked_manifest(const storage::CheckpointStore& store,
                                             std::uint64_t step);

// The same for the checkpoint of `step`, by default the newest; the reason names the other steps
// there are.
schemas::CheckpointManifest chosen_manifest(const storage::CheckpointStore& store,
                                            std::optional<std::uint64_t> step);

}  // namespace bit::trainer
