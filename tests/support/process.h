// Real processes for integration tests: start, signal, kill, and what they printed.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "tests/support/temp_directory.h"

namespace bit::test {

struct ProcessResult {
  int exit_code = -1;  // 128 + signal when a signal ended it
  std::string out;     // standard output
  std::string err;     // standard error
};

// A child in a process group of its own, so that killing the group ends mpirun and its ranks.
// Killed when destroyed.
class Process {
 public:
  // argv[0] is looked up in PATH. `environment` is added to this process's.
  explicit Process(const std::vector<std::string>& argv,
                   const std::map<std::string, std::string>& environment = {},
                   const std::string& directory = "");
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;        // the child alone
  void signal_group(int number) const;  // the child and its descendants in its group
  bool running();
  ProcessResult wait();

 private:
  pid_t pid_ = -1;
  TempDirectory output_;  // the captured streams
  int status_ = 0;
  bool reaped_ = false;
};

ProcessResult run_process(const std::vector<std::string>& argv,
                          const std::map<std::string, std::string>& environment = {},
                          const std::string& directory = "");

}  // namespace bit::test
