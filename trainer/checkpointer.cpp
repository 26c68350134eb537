#include "trainer/checkpointer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <numeric>
#include <span>
#include <stdexcept>

#include "storage/tfrecord.h"

namespace bit::trainer {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Texts that say of a step of the save whether it went well on a rank.
std::string good(const std::string& payload) { return "+" + payload; }
std::string bad(int rank, const std::string& host, const std::string& reason) {
  return fmt::format("-rank {} on {}: {}", rank, host, reason);
}
bool is_good(const std::string& text) { return !text.empty() && text[0] == '+'; }

std::vector<std::uint64_t> sizes_of(const std::vector<NamedTensor>& state) {
  std::vector<std::uint64_t> bytes;
  for (const auto& [name, tensor] : state) bytes.push_back(tensor.nbytes());
  return bytes;
}

}  // namespace

struct Checkpointer::Save {
  schemas::CheckpointManifest manifest;
  std::vector<storage::TensorView> tensors;  // this rank's share, views into snapshot_
  Clock::time_point began;
  CheckpointReport report;
  std::atomic<bool> ended = false;
};

Checkpointer::Checkpointer(storage::CheckpointStore store,
                           std::unique_ptr<cluster::Communicator> communicator, std::uint32_t keep)
    : store_(std::move(store)), communicator_(std::move(communicator)), keep_(keep) {}

Checkpointer::~Checkpointer() {
  if (writer_.joinable()) writer_.join();
}

void Checkpointer::start(const std::vector<NamedTensor>& state,
                         schemas::CheckpointManifest manifest) {
  if (save_ != nullptr)
    throw std::logic_error("a checkpoint was started before the last one was reported");
  const auto began = Clock::now();
  const auto sizes = sizes_of(state);
  const auto [first, last] = share_of_rank(sizes, communicator_->rank(), communicator_->size());
  snapshot_.resize(std::accumulate(sizes.begin() + static_cast<std::ptrdiff_t>(first),
                                   sizes.begin() + static_cast<std::ptrdiff_t>(last),
                                   std::size_t{0}));
  auto save = std::make_unique<Save>();
  std::size_t used = 0;
  const at::NoGradGuard no_grad;
  for (std::size_t i = first; i < last; ++i) {
    const auto& [name, tensor] = state[i];
    const std::span<std::byte> bytes = std::span(snapshot_).subspan(used, tensor.nbytes());
    at::from_blob(bytes.data(), tensor.sizes(), tensor.options()).copy_(tensor);
    save->tensors.push_back({name, storage::DType::kF32, tensor.sizes().vec(), bytes});
    used += bytes.size();
  }
  save->manifest = std::move(manifest);
  save->began = began;
  save->report.step = save->manifest.step();
  save->report.path = store_.path(save->report.step);
  save->report.blocked_seconds = seconds_since(began);
  save_ = std::move(save);
  writer_ = std::thread([this] { write(*save_); });
}

// The writer thread of every rank. Each step's outcome is shared, so that all ranks agree on
// success or on the first failure.
void Checkpointer::write(Save& save) {
  const int rank = communicator_->rank();
  const auto attempt = [&](auto&& work) {
    try {
      return good(work());
    } catch (const std::exception& error) {
      return bad(rank, communicator_->host(), error.what());
    }
  };
  const auto on_rank_zero = [&](auto&& work) {
    return communicator_->broadcast(rank == 0 ? attempt(work) : std::string(), 0);
  };
  const auto fail = [&](const std::string& text) {
    save.report.ok = false;
    save.report.error = text.substr(1);
  };
  try {
    const std::uint64_t step = save.manifest.step();
    std::string outcome = on_rank_zero([&] {
      const auto now = std::chrono::system_clock::now().time_since_epoch();
      const std::string nonce = fmt::format("{}-{:x}", getpid(), now.count());
      store_.begin(step, nonce);
      return nonce;
    });
    if (is_good(outcome)) {
      const std::string temporary = store_.temporary_path(step, outcome.substr(1));
      const auto parts = communicator_->all_gather(attempt([&] {
        return store_
            .write_part(temporary, static_cast<std::uint32_t>(rank),
                        static_cast<std::uint32_t>(communicator_->size()), save.tensors)
            .SerializeAsString();
      }));
      for (const auto& text : parts) {
        if (is_good(outcome) && !is_good(text)) outcome = text;
        if (!is_good(text)) continue;
        auto* part = save.manifest.add_parts();
        if (!part->ParseFromString(text.substr(1)))
          throw std::runtime_error("the description of a part did not arrive whole");
        save.report.bytes += part->bytes();
      }
      save.manifest.set_ranks(static_cast<std::uint32_t>(communicator_->size()));
      if (is_good(outcome)) {
        outcome = on_rank_zero([&] {
          store_.publish(temporary, save.manifest);
          store_.prune(keep_);
          return std::string();
        });
      } else if (rank == 0) {
        store_.discard(temporary);
      }
    }
    if (!is_good(outcome)) fail(outcome);
  } catch (const std::exception& error) {
    fail(bad(rank, communicator_->host(), error.what()));
  }
  save.report.seconds = seconds_since(save.began);
  save.ended.store(true, std::memory_order_release);
}

bool Checkpointer::busy() const {
  return save_ != nullptr && !save_->ended.load(std::memory_order_acquire);
}

std::optional<CheckpointReport> Checkpointer::poll() {
  if (save_ == nullptr || busy()) return std::nullopt;
  return drain();
}

std::optional<CheckpointReport> Checkpointer::drain() {
  if (save_ == nullptr) return std::nullopt;
  writer_.join();
  CheckpointReport report = save_->report;
  save_.reset();
  return report;
}

std::optional<schemas::CheckpointManifest> choose_checkpoint(storage::CheckpointStore& store,
                                                             cluster::Communicator& communicator,
                                                             MetricSink& sink) {
  // Rank 0's decision as one text: "+<manifest>", "0" for no checkpoint, or "-<why none can be
  // used>".
  std::string decision;
  if (communicator.rank() == 0) {
    auto steps = store.steps();
    std::reverse(steps.begin(), steps.end());
    std::vector<storage::CheckpointStore::Problem> problems;
    std::optional<schemas::CheckpointManifest> chosen;
    for (const std::uint64_t step : steps) {
      storage::CheckpointStore::Problem problem;
      chosen = store.validate(step, &problem);
      if (chosen) break;
      problems.push_back(problem);
    }
    if (chosen) {
      for (const auto& problem : problems) {
        store.quarantine(problem);
        sink.note(fmt::format("checkpoint {} cannot be used ({}): set aside, going on with step {}",
                              store.path(problem.step), problem.reason, chosen->step()));
      }
      decision = good(chosen->SerializeAsString());
    } else if (problems.empty()) {
      decision = "0";
    } else {
      decision = "-";
      for (const auto& problem : problems) {
        decision += fmt::format("  {}: {}\n", store.path(problem.step), problem.reason);
      }
      decision += fmt::format(
          "Move them away to start afresh.\nno checkpoint in {} can be used, and nothing was "
          "changed",
          store.directory());
    }
  }
  decision = communicator.broadcast(decision, 0);
  if (decision == "0") return std::nullopt;
  if (!is_good(decision)) throw NoCheckpointError(decision.substr(1));
  schemas::CheckpointManifest manifest;
  if (!manifest.ParseFromString(decision.substr(1)))
    throw NoCheckpointError("a checkpoint manifest did not arrive whole");
  return manifest;
}

std::string newest_good(const storage::CheckpointStore& store) {
  const auto steps = store.steps();
  return steps.empty() ? "there is no checkpoint yet: a new start begins anew"
                       : "the newest good checkpoint is " + store.path(steps.back());
}

std::string set_aside_before(storage::CheckpointStore& store, std::uint64_t step,
                             const std::string& cause) {
  const auto steps = store.steps();
  if (!steps.empty() && steps.back() + 1 == step) {
    if (steps.size() == 1) {
      return "the only checkpoint, " + store.path(steps.back()) +
             ", leads there at once: move it away to begin anew";
    }
    store.quarantine({steps.back(), "the next step from here fails: " + cause});
  }
  return newest_good(store);
}

void restore_state(const storage::CheckpointStore& store,
                   const schemas::CheckpointManifest& manifest, cluster::Communicator& communicator,
                   const std::vector<NamedTensor>& state) {
  std::optional<storage::CheckpointReader> reader;
  if (communicator.rank() == 0) reader.emplace(store.path(manifest.step()), manifest);
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : state) {
    at::Tensor dense = at::empty(tensor.sizes(), tensor.options());
    const std::span<std::byte> bytes{static_cast<std::byte*>(dense.mutable_data_ptr()),
                                     dense.nbytes()};
    if (reader) {
      const storage::TensorView& view = reader->tensor(name);
      if (view.shape != tensor.sizes().vec() || view.bytes.size() != bytes.size()) {
        throw storage::DataError(fmt::format("{}: tensor '{}' has another shape than the model's",
                                             store.path(manifest.step()), name));
      }
      std::memcpy(bytes.data(), view.bytes.data(), bytes.size());
    }
    communicator.broadcast(bytes, 0);
    tensor.copy_(dense);
  }
}

std::pair<std::size_t, std::size_t> share_of_rank(const std::vector<std::uint64_t>& bytes, int rank,
                                                  int ranks) {
  const std::uint64_t total = std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0});
  // A tensor belongs to the rank in whose equal share of the bytes its middle lies.
  const auto begin_of = [&](int r) {
    std::uint64_t before = 0;
    std::size_t i = 0;
    while (i < bytes.size() && static_cast<double>(before) + static_cast<double>(bytes[i]) / 2 <
                                   static_cast<double>(total) * r / ranks) {
      before += bytes[i++];
    }
    return i;
  };
  return {rank == 0 ? 0 : begin_of(rank), rank + 1 == ranks ? bytes.size() : begin_of(rank + 1)};
}

}  // namespace bit::trainer
