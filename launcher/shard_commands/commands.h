// The commands of bit-shard: each takes its options, prints its report on standard output and
// returns an exit code. They throw std::invalid_argument for a command line that cannot be,
// storage::DataError, storage::LockedError and storage::StorageError; bit_shard.cpp turns these
// into exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "cluster/communicator.h"
#include "launcher/exit_code.h"
#include "pipeline/convert/converter.h"
#include "pipeline/convert/open_input.h"

namespace bit::launcher {

// Held while a command changes a dataset: appended to its directory.
inline constexpr const char* kDatasetLock = "/.lock";

struct ConvertCommand {
  pipeline::InputOptions input;
  pipeline::ConvertOptions options;
  bool dry_run = false;  // list and plan, and leave nothing
};
// Collective. Failures are SharedFailure.
ExitCode run_convert(ConvertCommand command, cluster::Communicator& communicator);
// The options of convert.
CLI::App* add_convert(CLI::App& app, ConvertCommand& command);
// --threads, of several commands.
CLI::Option* add_threads(CLI::App& app, unsigned& threads);

struct VerifyCommand {
  std::string directory;
  std::string split;  // empty: all
  unsigned threads = 1;
  bool decode = true;
};
ExitCode run_verify(const VerifyCommand& command);

struct InspectCommand {
  std::string directory;
  std::string split;                    // empty: all; for one record: the only one
  std::optional<std::uint64_t> record;  // 0-based, in the split
  std::string output;                   // file for the record's image; empty: none
  std::optional<std::uint64_t> batch;   // records, for the shuffle quality; none: usual ones
  std::string html;                     // file for a page with pictures; empty: none
  std::uint64_t sheet = 60;             // pictures of each split on it
};
ExitCode run_inspect(const InspectCommand& command);

struct IndexCommand {
  std::string files;    // a directory, or what storage/file_patterns.h reads
  std::string name;     // empty: as the file names say, else the directory's
  std::string split;    // empty: as the file names say
  std::string classes;  // file with a class name a line; empty: those of dataset.json, if any
};
ExitCode run_index(const IndexCommand& command);

}  // namespace bit::launcher
