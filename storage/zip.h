// Zip archives as .npz files are: where each member's bytes lie, and what they are. Stored and
// deflated members, ZIP64 (PKWARE APPNOTE 6.3.9, sections 4.3 to 4.5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bit::storage {

enum class ZipMethod { kStored, kDeflated };

struct ZipMember {
  std::string name;
  ZipMethod method = ZipMethod::kStored;
  std::uint32_t crc32 = 0;          // of the member's content
  std::uint64_t bytes = 0;          // of the content
  std::span<const std::byte> data;  // as it lies in the archive: a view into it
};

// The members of the archive `file`, in the order of the central directory, whose word is taken for
// sizes and checksums (local headers may leave them to a data descriptor). Every member lies inside
// the file, before the directory, and overlaps no other; no name occurs twice; a deflated member
// claims no more than deflate can make of its bytes. Throws DataError with the reason alone.
std::vector<ZipMember> parse_zip(std::span<const std::byte> file);

// The content of a member from its front, in as many pieces as the caller likes.
class ZipMemberReader {
 public:
  explicit ZipMemberReader(const ZipMember& member);
  ~ZipMemberReader();
  ZipMemberReader(const ZipMemberReader&) = delete;
  ZipMemberReader& operator=(const ZipMemberReader&) = delete;

  // Fills `out`. Throws DataError ("<member>: <reason>") when the content ends before, or is not
  // what deflate writes.
  void read(std::span<std::byte> out);
  // To be called after the whole content was read: throws DataError when it goes on, or when its
  // checksum is not that of the directory.
  void finish();

 private:
  struct Inflater;
  std::size_t inflate(std::span<std::byte> out);
  [[noreturn]] void fail(const std::string& reason) const;

  const ZipMember& member_;
  std::size_t position_ = 0;  // in the stored data
  std::uint32_t crc32_ = 0;
  std::uint64_t given_ = 0;             // bytes of the content
  std::unique_ptr<Inflater> inflater_;  // of a deflated member
};

}  // namespace bit::storage
