// Tar files as they lie: where each member's bytes are, without reading them. Understood are old
// V7, ustar (POSIX.1-1988), pax (POSIX.1-2001) and GNU's long names, large sizes and sparse files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "storage/file.h"

namespace bit::storage {

enum class TarType {
  kFile,
  kDirectory,
  kLink,    // symbolic or hard
  kSparse,  // its bytes in the tar are not the file's
  kOther,   // device, volume label and the like
};

struct TarMember {
  std::string name;          // any bytes: nothing is made of it here
  std::uint64_t offset = 0;  // of its first byte in the file
  std::uint64_t bytes = 0;   // 0 unless kFile, kSparse or kOther
  TarType type = TarType::kFile;
};

// Walks the headers of a tar. One thread.
class TarReader {
 public:
  // The tar is the `bytes` from `offset` of `file` (kUnknownSize: to its end), which must outlive
  // the reader. A file of kUnknownSize is read in sequence: the caller may read a member's bytes,
  // in order, before it asks for the next member. From other files only the headers are read, 512
  // bytes a member.
  explicit TarReader(const ReadableFile& file, std::uint64_t offset = 0,
                     std::uint64_t bytes = kUnknownSize);

  // nullopt at the end: blocks of zeros up to the end of the file or, where the size is known, just
  // the end of the file. What members say lies within the tar. Throws StorageError; DataError
  // "<path>: at byte N: <reason>" for everything that is not a whole tar, after which the reader is
  // not to be used. Memory: a name or a list of attributes of at most 1 MiB.
  std::optional<TarMember> next();

 private:
  static constexpr std::size_t kBlockBytes = 512;
  using Block = std::array<std::byte, kBlockBytes>;
  // What a pax header says about the member that follows.
  struct Attributes {
    std::optional<std::string> name;
    std::optional<std::uint64_t> bytes;
    bool sparse = false;
  };

  // False at the end of the tar.
  bool read_header(Block& block);
  void read_block(Block& block);
  void check_end(const Block& first);
  // The content of a header that speaks of another member.
  std::string read_text(std::uint64_t bytes);
  void read_attributes(std::uint64_t bytes, Attributes& attributes);
  TarMember member(const Block& header, const Attributes& attributes);
  void skip_sparse_headers(const Block& header);
  // Moves behind `bytes` of data and their padding, which must lie in the tar.
  void skip(std::uint64_t bytes);
  bool end_is_known() const { return end_ != kUnknownSize; }
  [[noreturn]] void fail(std::uint64_t offset, const std::string& reason) const;

  const ReadableFile& file_;
  const std::uint64_t begin_, end_;  // in the file; end_ may be kUnknownSize
  std::uint64_t header_ = 0;         // of the header being read
  std::uint64_t position_ = 0;       // of the next block
  Attributes global_;
  bool ended_ = false;
};

}  // namespace bit::storage
