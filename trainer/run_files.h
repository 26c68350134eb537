// Two line-by-line records of a run, written by rank 0 in the run directory: which samples each
// step saw, and which records could not be used.
#pragma once

#include <cstdint>
#include <fstream>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "pipeline/loader.h"

namespace bit::trainer {

// The lines of a JSON-lines file that belong to a run at `step`, byte for byte: those whose "step"
// is at most that. A last line cut by a kill goes too.
std::string lines_up_to(const std::string& text, std::uint64_t step);

// order.jsonl: {"step":…,"epoch":…,"records":[…]} with the ids of the global batch in slot order.
// Collective.
class OrderLog {
 public:
  // Rank 0 opens `path` and drops lines of steps after `first_step`, which an earlier process wrote
  // past its last checkpoint.
  OrderLog(const std::string& path, std::uint64_t first_step, cluster::Communicator& communicator);
  void write(std::uint64_t step, const pipeline::Batch& batch);

 private:
  std::string path_;
  cluster::Communicator& communicator_;
  std::ofstream file_;
};

// bad_records.jsonl: one line for each distinct record that could not be used, over the whole run.
class BadRecordLog {
 public:
  BadRecordLog(const std::string& path, std::uint64_t budget, cluster::Communicator& communicator);
  // Collective, when any rank met bad records in this step. Throws DataError on every rank once
  // more distinct records than the budget were bad, naming the last one.
  void add(std::uint64_t step, std::span<const pipeline::BadRecord> records);

 private:
  std::string path_;
  std::uint64_t budget_;
  cluster::Communicator& communicator_;
  std::set<std::uint64_t> seen_;  // rank 0
};

}  // namespace bit::trainer
