// bit-shard convert as people run it, in one process or as ranks under mpirun, and what it leaves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace bit::test {

// One command: `input` to split `train` of the dataset `pictures` in `output`.
struct ConvertCommand {
  std::string input;
  std::string output;
  std::vector<std::string> more = {};  // further options
  int ranks = 0;                       // under mpirun; 0: without it
  // Words before the program, in each rank: a shell that limits it.
  std::vector<std::string> around = {};

  std::vector<std::string> argv() const;
  std::unique_ptr<Process> start() const;
  ProcessResult go() const;
  // SIGKILL to mpirun and every rank; returns when none is left.
  void kill_all(Process& process) const;
};

// Every file and folder below `directory`, hidden ones too, by its relative path: what a finished
// conversion has published. The lock file, which says who was the last to hold it, is left out.
std::map<std::string, std::string> published(const std::string& directory);

// A record as a reader meets it in the shard.
struct FoundRecord {
  std::vector<std::string> labels;  // names; numbers where the classes have none
  std::uint32_t width = 0, height = 0;
  std::vector<std::byte> image;
};
// By key. Every label is held against the index on the way.
std::map<std::string, FoundRecord> records_in(const std::string& directory,
                                              const std::string& split = "train");

void write_file(const std::string& path, std::string_view bytes);
void write_file(const std::string& path, std::span<const std::byte> bytes);

}  // namespace bit::test
