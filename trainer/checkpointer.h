// Checkpoints by all ranks together: a copy of this rank's share of the state on the training
// thread, everything else (parts, sums, manifest, rename, retention) on a writer thread with a
// communicator of its own. One save is under way at most.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/communicator.h"
#include "schemas/checkpoint.pb.h"
#include "storage/checkpoint_store.h"
#include "trainer/metrics.h"

namespace bit::trainer {

// A tensor of the state and its name in the checkpoint: "model/<name>", "momentum/<name>". fp32,
// dense; a handle.
using NamedTensor = std::pair<std::string, at::Tensor>;

class Checkpointer {
 public:
  // `communicator` is used by the writer thread only. `keep`: published checkpoints that stay.
  Checkpointer(storage::CheckpointStore store, std::unique_ptr<cluster::Communicator> communicator,
               std::uint32_t keep);
  ~Checkpointer();  // waits for the save under way

  // Collective, at the same step on all ranks, and only when !busy() on all of them. Copies and
  // returns; `manifest` carries step, state, config, dataset_hash and writer.
  void start(const std::vector<NamedTensor>& state, schemas::CheckpointManifest manifest);

  // A save is under way on this rank. Ranks may differ for a moment, so the caller asks all before
  // start().
  bool busy() const;
  // The outcome of a save that ended since the last call; the same on all ranks, a failure
  // included.
  std::optional<CheckpointReport> poll();
  // Waits for the save under way and returns its outcome, if there was one.
  std::optional<CheckpointReport> drain();

  const storage::CheckpointStore& store() const { return store_; }

 private:
  struct Save;
  void write(Save& save);

  storage::CheckpointStore store_;
  std::unique_ptr<cluster::Communicator> communicator_;
  std::uint32_t keep_;
  std::vector<std::byte> snapshot_;  // reused from save to save
  std::unique_ptr<Save> save_;       // under way, or ended and not yet reported
  std::thread writer_;
};

// The newest checkpoint whose every byte is good, by one decision of all ranks: rank 0 validates,
// newer bad ones are set aside (and noted), the choice is broadcast. nullopt when there is no
// checkpoint at all. Throws NoCheckpointError when there are some and none is good; nothing is
// renamed then.
std::optional<schemas::CheckpointManifest> choose_checkpoint(storage::CheckpointStore& store,
                                                             cluster::Communicator& communicator,
                                                             MetricSink& sink);

// "the newest good checkpoint is ...": what a run that ends can be gone on from, in words.
std::string newest_good(const storage::CheckpointStore& store);
// The same after update `step` failed by the state before it: a checkpoint of that state would fail
// again at once, so it is set aside with `cause` as the reason, unless it is the only one. On one
// rank, with no save under way.
std::string set_aside_before(storage::CheckpointStore& store, std::uint64_t step,
                             const std::string& cause);

// Fills `state` in place from a published checkpoint: rank 0 reads, all receive. DataError names a
// tensor that is missing or has another shape.
void restore_state(const storage::CheckpointStore& store,
                   const schemas::CheckpointManifest& manifest, cluster::Communicator& communicator,
                   const std::vector<NamedTensor>& state);

// Checkpoints exist and none can be used: exit code 77.
class NoCheckpointError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Which tensors rank `rank` writes: contiguous runs of about equal bytes. [first, last) into
// `bytes`.
std::pair<std::size_t, std::size_t> share_of_rank(const std::vector<std::uint64_t>& bytes, int rank,
                                                  int ranks);

}  // namespace bit::trainer
