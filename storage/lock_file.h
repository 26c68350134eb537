// One process at a time: a file that is locked while its holder lives and says who that is. The
// operating system releases the lock with the process, however it ends, so what is left behind
// never blocks anybody; the file itself stays.
#pragma once

#include <stdexcept>
#include <string>

namespace bit::storage {

// Another process holds the lock: what() is "<path> is held by <what it wrote there>".
class LockedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class LockFile {
 public:
  // Locks `path` (made when it does not exist) without waiting and writes host, process and time
  // into it. flock(2): holds among the processes of one host on every local file system, and
  // between hosts where the shared file system passes it on (NFS of Linux, GPFS, CephFS; Lustre
  // with -o flock). Throws LockedError, StorageError.
  explicit LockFile(const std::string& path);
  ~LockFile();
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

  // False on a file system without locks: nobody is kept out.
  bool held() const { return held_; }

 private:
  int descriptor_ = -1;
  bool held_ = true;
};

}  // namespace bit::storage
