// A FileSystem that counts and records its changes, and goes wrong at the one it is told: a crash
// (half done, then nothing works any more), one failing operation, a disk that is full from then
// on, or reads that are refused.
// Syncs are recorded and not done: processes die here, not machines.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "storage/file.h"

namespace bit::test {

// The process is gone: deliberately no StorageError.
class Crash : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class FaultyFileSystem final : public storage::FileSystem {
 public:
  explicit FaultyFileSystem(storage::FileSystem& base) : base_(base) {}

  static constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();
  std::size_t crash_at = kNever;          // number of the change, from 0
  std::size_t fail_at = kNever;           // this change alone fails, with EIO
  std::size_t full_from = kNever;         // changes that need space fail, with ENOSPC
  std::optional<std::errc> refuse_reads;  // opening a file fails

  // When no thread is at work. "create PATH", "append PATH", "sync PATH", "rename PATH", ... in the
  // order they began.
  const std::vector<std::string>& changes() const { return changes_; }

  std::unique_ptr<storage::ReadableFile> open(const std::string& path) override {
    if (refuse_reads)
      throw storage::StorageError(std::make_error_code(*refuse_reads), "open", path);
    return base_.open(path);
  }
  std::unique_ptr<storage::WritableFile> create(const std::string& path) override {
    if (begin("create", path, true)) throw Crash(path);
    return std::make_unique<File>(*this, base_.create(path));
  }
  void rename(const std::string& from, const std::string& to) override {
    if (begin("rename", to, false)) throw Crash(to);
    base_.rename(from, to);
  }
  void remove(const std::string& path) override {
    if (begin("remove", path, false)) throw Crash(path);
    base_.remove(path);
  }
  void remove_tree(const std::string& path) override {
    if (begin("remove_tree", path, false)) {
      const auto entries = base_.list(path);
      if (!entries.empty()) base_.remove_tree(path + "/" + entries.front().name);
      throw Crash(path);
    }
    base_.remove_tree(path);
  }
  void make_directories(const std::string& path) override {
    if (begin("make_directories", path, true)) throw Crash(path);
    base_.make_directories(path);
  }
  void sync_directory(const std::string& path) override {
    if (begin("sync_directory", path, false)) throw Crash(path);
  }
  std::vector<storage::DirectoryEntry> list(const std::string& path) override {
    return base_.list(path);
  }
  bool exists(const std::string& path) override { return base_.exists(path); }
  std::uint64_t file_size(const std::string& path) override { return base_.file_size(path); }
  storage::FileStamp stamp(const std::string& path) override { return base_.stamp(path); }

 private:
  class File final : public storage::WritableFile {
   public:
    File(FaultyFileSystem& owner, std::unique_ptr<storage::WritableFile> base)
        : owner_(owner), base_(std::move(base)) {}
    void append(std::span<const std::byte> bytes) override {
      if (owner_.begin("append", path(), true)) {
        base_->append(bytes.first(bytes.size() / 2));
        throw Crash(path());
      }
      base_->append(bytes);
    }
    void sync() override {
      if (owner_.begin("sync", path(), true)) throw Crash(path());
    }
    void close() override {
      if (owner_.begin("close", path(), false)) throw Crash(path());
      base_->close();
    }
    const std::string& path() const override { return base_->path(); }

   private:
    FaultyFileSystem& owner_;
    std::unique_ptr<storage::WritableFile> base_;
  };

  // True when the crash comes in the middle of this change. Throws when it comes to nothing.
  bool begin(const std::string& operation, const std::string& path, bool needs_space) {
    const std::lock_guard lock(mutex_);
    const std::size_t number = changes_.size();
    if (number > crash_at) throw Crash(path);
    changes_.push_back(operation + " " + path);
    const auto fail = [&](std::errc reason) {
      throw storage::StorageError(std::make_error_code(reason), operation, path);
    };
    if (number == fail_at) fail(std::errc::io_error);
    if (needs_space && number >= full_from) fail(std::errc::no_space_on_device);
    return number == crash_at;
  }

  storage::FileSystem& base_;
  std::mutex mutex_;
  std::vector<std::string> changes_;
};

}  // namespace bit::test
