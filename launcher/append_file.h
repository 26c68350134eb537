// A file that grows while others read it: every append is one write at its end, with no buffer in
// between.
#pragma once

#include <string>

#include "storage/file.h"

namespace bit::launcher {

// Creates the file when it does not exist, keeps what is in it when it does. Throws StorageError.
// One thread.
class AppendFile final : public storage::WritableFile {
 public:
  explicit AppendFile(std::string path);
  ~AppendFile() override;
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void append(std::span<const std::byte> bytes) override;
  void sync() override;
  void close() override;
  const std::string& path() const override { return path_; }

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace bit::launcher
