#include "tests/support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

namespace bit::test {
namespace {

std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void redirect(const std::string& path, int descriptor, int flags) {
  const int file = open(path.c_str(), flags, 0600);
  if (file < 0 || dup2(file, descriptor) < 0) _exit(126);
}

}  // namespace

Process::Process(const std::vector<std::string>& argv,
                 const std::map<std::string, std::string>& environment,
                 const std::string& directory) {
  std::vector<char*> arguments;
  for (const auto& text : argv) arguments.push_back(const_cast<char*>(text.c_str()));
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) {
    setpgid(0, 0);
    redirect("/dev/null", STDIN_FILENO, O_RDONLY);
    redirect(output_ / "out", STDOUT_FILENO, O_WRONLY | O_CREAT | O_TRUNC);
    redirect(output_ / "err", STDERR_FILENO, O_WRONLY | O_CREAT | O_TRUNC);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    if (!directory.empty() && chdir(directory.c_str()) != 0) _exit(126);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  setpgid(pid_, pid_);
}

Process::~Process() {
  if (!reaped_) {
    signal_group(SIGKILL);
    waitpid(pid_, &status_, 0);
  }
}

void Process::signal(int number) const { kill(pid_, number); }

void Process::signal_group(int number) const { kill(-pid_, number); }

bool Process::running() {
  if (reaped_) return false;
  reaped_ = waitpid(pid_, &status_, WNOHANG) == pid_;
  return !reaped_;
}

ProcessResult Process::wait() {
  while (!reaped_) reaped_ = waitpid(pid_, &status_, 0) == pid_;
  ProcessResult result;
  result.exit_code = WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
  result.out = read_all(output_ / "out");
  result.err = read_all(output_ / "err");
  return result;
}

ProcessResult run_process(const std::vector<std::string>& argv,
                          const std::map<std::string, std::string>& environment,
                          const std::string& directory) {
  return Process(argv, environment, directory).wait();
}

}  // namespace bit::test
