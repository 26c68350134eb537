#include "storage/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "storage/file.h"

namespace bit::storage {
namespace {

[[noreturn]] void fail(int error, const char* operation, const std::string& path) {
  throw StorageError(std::error_code(error, std::generic_category()), operation, path);
}

bool is_unsupported(int error) {
  return error == ENOSYS || error == ENOTSUP || error == EOPNOTSUPP || error == ENOLCK ||
         error == EINVAL;
}

// "process 4711 on node-3 since 2026-01-31T12:00:00Z"
std::string this_process() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  std::array<char, 32> now{};
  const std::time_t seconds = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::strftime(now.data(), now.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return "process " + std::to_string(getpid()) + " on " + host.data() + " since " + now.data();
}

std::string text_of(int descriptor) {
  std::array<char, 512> text{};
  const ssize_t count = ::pread(descriptor, text.data(), text.size(), 0);
  std::string line(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  line.resize(std::min(line.size(), line.find('\n')));
  return line.empty() ? "another process" : line;
}

}  // namespace

LockFile::LockFile(const std::string& path)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail(errno, "open", path);
  try {
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) throw LockedError(path + " is held by " + text_of(descriptor_));
      if (!is_unsupported(errno)) fail(errno, "lock", path);
      held_ = false;
    }
    const std::string text = this_process() + "\n";
    if (::ftruncate(descriptor_, 0) != 0) fail(errno, "write", path);
    const ssize_t written = ::pwrite(descriptor_, text.data(), text.size(), 0);
    if (written != static_cast<ssize_t>(text.size())) {
      fail(written < 0 ? errno : ENOSPC, "write", path);
    }
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

LockFile::~LockFile() { ::close(descriptor_); }

}  // namespace bit::storage
