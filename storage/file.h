// The file system as the rest of the program sees it: positioned reads, appends that are synced,
// and renames. One interface, so that tests can put a recording or failing file system in its
// place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace bit::storage {

// A failed operation on a file: what() reads "<operation> <path>: <reason>".
class StorageError : public std::system_error {
 public:
  StorageError(std::error_code code, std::string_view operation, std::string path);
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// size() of a file that can only be read in sequence, as far as it goes (a gzip stream): offsets of
// read_at() must not go back, and one thread reads.
inline constexpr std::uint64_t kUnknownSize = UINT64_MAX;

// Bytes of an open file. Reads may come from several threads at once.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  // Fills `out` from `offset`; returns the bytes read, fewer than asked only at the end of the
  // file. Throws StorageError.
  virtual std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const = 0;
  virtual std::uint64_t size() const = 0;  // bytes, or kUnknownSize
  virtual const std::string& path() const = 0;
  // Hints to the page cache, that change nothing else: these bytes will be read soon; these will
  // not be read again for long.
  virtual void will_need(std::uint64_t /*offset*/, std::uint64_t /*bytes*/) const {}
  virtual void drop_cache(std::uint64_t /*offset*/, std::uint64_t /*bytes*/) const {}
};

// A file being written from its start. One thread at a time.
class WritableFile {
 public:
  virtual ~WritableFile() = default;  // closes without sync; errors are lost, so call close()
  virtual void append(std::span<const std::byte> bytes) = 0;
  // Returns when the bytes are on stable storage (fsync).
  virtual void sync() = 0;
  // Closes and reports what the file system says at close (NFS reports write errors here).
  virtual void close() = 0;
  virtual const std::string& path() const = 0;
};

// Of a file or directory: what changes when its content, or the list of its entries, does.
struct FileStamp {
  std::uint64_t bytes = 0;   // 0 for a directory
  std::int64_t changed = 0;  // nanoseconds since 1970
  bool operator==(const FileStamp&) const = default;
};

struct DirectoryEntry {
  std::string name;  // without the directory
  bool is_directory = false;
};

// All methods throw StorageError. Methods may be called from several threads at once.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual std::unique_ptr<ReadableFile> open(const std::string& path) = 0;
  // Creates or truncates.
  virtual std::unique_ptr<WritableFile> create(const std::string& path) = 0;
  // Atomic within a file system; replaces an existing file.
  virtual void rename(const std::string& from, const std::string& to) = 0;
  // A file or an empty directory.
  virtual void remove(const std::string& path) = 0;
  virtual void remove_tree(const std::string& path) = 0;
  virtual void make_directories(const std::string& path) = 0;
  // Makes the names in a directory durable (fsync of the directory).
  virtual void sync_directory(const std::string& path) = 0;
  // Entries in byte order of their names, "." and ".." left out.
  virtual std::vector<DirectoryEntry> list(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;
  virtual std::uint64_t file_size(const std::string& path) = 0;
  virtual FileStamp stamp(const std::string& path) = 0;
};

// The operating system's. Lives for ever.
FileSystem& posix_file_system();

// Whole small files.
std::string read_file(FileSystem& files, const std::string& path);
// Durable and atomic: temporary name (`path`.tmp), sync, close, rename, sync of the directory. When
// anything fails, `path` is as it was and the temporary file is gone. One writer of a path at a
// time.
void write_file_atomically(FileSystem& files, const std::string& path, std::string_view content);
// The same for content that `write` appends piece by piece.
void write_file_atomically(FileSystem& files, const std::string& path,
                           const std::function<void(WritableFile&)>& write);

// A read-only mapping of a whole file; empty files give an empty span. The file must not shrink
// while it is mapped.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace bit::storage
