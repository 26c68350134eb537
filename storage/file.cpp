// The operating system's files through POSIX calls: interrupted and short calls are continued,
// descriptors are closed on exec, appends are gathered in a buffer, and every failure names the
// operation and the path.
#include "storage/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace bit::storage {
namespace {

constexpr std::size_t kWriteBufferBytes = std::size_t{256} << 10;

[[noreturn]] void fail(int error, std::string_view operation, const std::string& path) {
  throw StorageError(std::error_code(error, std::generic_category()), operation, path);
}

void check(const std::error_code& code, std::string_view operation, const std::string& path) {
  if (code) throw StorageError(code, operation, path);
}

// Repeats a call that a signal interrupted.
template <typename Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// An open descriptor.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) {
    value_ = uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); });
    if (value_ < 0) fail(errno, (flags & O_CREAT) != 0 ? "create" : "open", path);
  }
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return value_; }
  // Linux releases the descriptor even when close() fails, so it is never tried twice.
  int close() { return ::close(std::exchange(value_, -1)); }

 private:
  int value_ = -1;
};

std::uint64_t regular_size(int descriptor, const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail(errno, "open", path);
  if (S_ISDIR(status.st_mode)) fail(EISDIR, "open", path);
  return static_cast<std::uint64_t>(status.st_size);
}

class PosixReadableFile final : public ReadableFile {
 public:
  explicit PosixReadableFile(const std::string& path)
      : path_(path), descriptor_(path, O_RDONLY), size_(regular_size(descriptor_.get(), path)) {}

  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t count = uninterrupted([&] {
        return ::pread(descriptor_.get(), out.data() + done, out.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (count < 0) fail(errno, "read", path_);
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    return done;
  }
  std::uint64_t size() const override { return size_; }
  const std::string& path() const override { return path_; }
  void will_need(std::uint64_t offset, std::uint64_t bytes) const override {
    advise(offset, bytes, POSIX_FADV_WILLNEED);
  }
  void drop_cache(std::uint64_t offset, std::uint64_t bytes) const override {
    advise(offset, bytes, POSIX_FADV_DONTNEED);
  }

 private:
  // Failures are of no account: a file system without advice reads as it always does. To the
  // kernel 0 bytes would be the rest of the file.
  void advise(std::uint64_t offset, std::uint64_t bytes, int advice) const {
    if (offset >= size_ || bytes == 0) return;
    ::posix_fadvise(descriptor_.get(), static_cast<off_t>(offset),
                    static_cast<off_t>(std::min(bytes, size_ - offset)), advice);
  }

  std::string path_;
  Descriptor descriptor_;
  std::uint64_t size_;
};

class PosixWritableFile final : public WritableFile {
 public:
  explicit PosixWritableFile(const std::string& path)
      : path_(path), descriptor_(path, O_WRONLY | O_CREAT | O_TRUNC) {
    buffer_.reserve(kWriteBufferBytes);
  }
  ~PosixWritableFile() override {
    try {
      if (descriptor_.get() >= 0) flush();
    } catch (const StorageError&) {  // lost, as the interface says
    }
  }

  void append(std::span<const std::byte> bytes) override {
    if (buffer_.size() + bytes.size() > kWriteBufferBytes) flush();
    if (bytes.size() >= kWriteBufferBytes) return write_all(bytes);
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  }
  void sync() override {
    flush();
    if (uninterrupted([&] { return ::fsync(descriptor_.get()); }) != 0) fail(errno, "sync", path_);
  }
  void close() override {
    if (descriptor_.get() < 0) return;
    flush();
    if (descriptor_.close() != 0 && errno != EINTR) fail(errno, "close", path_);
  }
  const std::string& path() const override { return path_; }

 private:
  void flush() {
    // Emptied first: bytes that could not be written are not tried again by the destructor.
    flushing_.swap(buffer_);
    buffer_.clear();
    write_all(flushing_);
  }
  void write_all(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count =
          uninterrupted([&] { return ::write(descriptor_.get(), bytes.data(), bytes.size()); });
      if (count < 0) fail(errno, "write", path_);
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }

  std::string path_;
  Descriptor descriptor_;
  std::vector<std::byte> buffer_;
  std::vector<std::byte> flushing_;
};

class PosixFileSystem final : public FileSystem {
 public:
  std::unique_ptr<ReadableFile> open(const std::string& path) override {
    return std::make_unique<PosixReadableFile>(path);
  }
  std::unique_ptr<WritableFile> create(const std::string& path) override {
    return std::make_unique<PosixWritableFile>(path);
  }
  void rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) fail(errno, "rename " + from + " to", to);
  }
  void remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) fail(errno, "remove", path);
  }
  void remove_tree(const std::string& path) override {
    std::error_code code;
    std::filesystem::remove_all(path, code);
    check(code, "remove", path);
  }
  void make_directories(const std::string& path) override {
    std::error_code code;
    std::filesystem::create_directories(path, code);
    check(code, "make directory", path);
  }
  void sync_directory(const std::string& path) override {
    const Descriptor directory(path, O_RDONLY | O_DIRECTORY);
    const int result = uninterrupted([&] { return ::fsync(directory.get()); });
    // EINVAL: a file system without fsync for directories; its names are as durable as they get.
    if (result != 0 && errno != EINVAL) fail(errno, "sync directory", path);
  }
  std::vector<DirectoryEntry> list(const std::string& path) override;
  bool exists(const std::string& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0) return true;
    if (errno != ENOENT && errno != ENOTDIR) fail(errno, "stat", path);
    return false;
  }
  std::uint64_t file_size(const std::string& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) fail(errno, "stat", path);
    if (S_ISDIR(status.st_mode)) fail(EISDIR, "stat", path);
    return static_cast<std::uint64_t>(status.st_size);
  }
  FileStamp stamp(const std::string& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) fail(errno, "stat", path);
    const auto bytes = S_ISDIR(status.st_mode) ? 0 : static_cast<std::uint64_t>(status.st_size);
    return {bytes, std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
  }
};

std::vector<DirectoryEntry> PosixFileSystem::list(const std::string& path) {
  std::vector<DirectoryEntry> entries;
  std::error_code code;
  std::filesystem::directory_iterator entry(path, code);
  for (const std::filesystem::directory_iterator end; !code && entry != end;
       entry.increment(code)) {
    // An entry that vanished meanwhile is no directory; it does not spoil the list.
    std::error_code vanished;
    entries.push_back({entry->path().filename().string(), entry->is_directory(vanished)});
  }
  check(code, "list", path);
  std::ranges::sort(entries, {}, &DirectoryEntry::name);
  return entries;
}

std::string parent_directory(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

StorageError::StorageError(std::error_code code, std::string_view operation, std::string path)
    : std::system_error(code, std::string(operation) + " " + path), path_(std::move(path)) {}

FileSystem& posix_file_system() {
  static PosixFileSystem files;  // without state
  return files;
}

std::string read_file(FileSystem& files, const std::string& path) {
  const auto file = files.open(path);
  std::string content(file->size(), '\0');
  content.resize(file->read_at(0, std::as_writable_bytes(std::span(content))));
  return content;
}

void write_file_atomically(FileSystem& files, const std::string& path,
                           const std::function<void(WritableFile&)>& write) {
  const std::string temporary = path + ".tmp";
  const auto file = files.create(temporary);
  try {
    write(*file);
    file->sync();
    file->close();
    files.rename(temporary, path);
  } catch (...) {
    try {
      files.remove(temporary);
    } catch (const StorageError&) {  // the first error is the one to report
    }
    throw;
  }
  files.sync_directory(parent_directory(path));
}

void write_file_atomically(FileSystem& files, const std::string& path, std::string_view content) {
  write_file_atomically(
      files, path, [&](WritableFile& file) { file.append(std::as_bytes(std::span(content))); });
}

MappedFile::MappedFile(const std::string& path) {
  const Descriptor descriptor(path, O_RDONLY);
  const std::uint64_t size = regular_size(descriptor.get(), path);
  if (size == 0) return;
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor.get(), 0);
  if (address == MAP_FAILED) fail(errno, "map", path);
  bytes_ = {static_cast<const std::byte*>(address), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace bit::storage
