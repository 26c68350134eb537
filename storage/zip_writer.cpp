#include "storage/zip_writer.h"

#include <zlib.h>

#include <algorithm>
#include <stdexcept>

#include "storage/zip_parts.h"

namespace bit::storage {
namespace {

using namespace zip;

constexpr std::uint16_t kVersion = 20, kVersion64 = 45;  // of the format, that a reader needs

template <typename T>
void put(std::string& out, std::uint64_t value) {
  const auto narrow = static_cast<T>(value);
  out.append(reinterpret_cast<const char*>(&narrow), sizeof(narrow));
}

std::uint64_t at_most(std::uint64_t value, std::uint64_t limit) { return std::min(value, limit); }

// Version needed, flags, method, time and date, as both headers have them.
void put_common(std::string& out, bool zip64) {
  put<std::uint16_t>(out, zip64 ? kVersion64 : kVersion);
  put<std::uint16_t>(out, 0x0800);  // names are UTF-8
  put<std::uint16_t>(out, 0);       // stored
  put<std::uint16_t>(out, 0);       // midnight
  put<std::uint16_t>(out, 0x21);    // 1980-01-01
}

}  // namespace

void ZipWriter::append(std::string_view text) {
  file_.append(std::as_bytes(std::span(text)));
  position_ += text.size();
}

void ZipWriter::add(const std::string& name, std::span<const std::span<const std::byte>> pieces) {
  if (name.size() > kFull16 ||
      std::ranges::find(members_, name, &Written::name) != members_.end()) {
    throw std::invalid_argument("zip member '" + name + "': the name is taken or too long");
  }
  Written member{name, 0, 0, position_};
  for (const auto piece : pieces) {
    if (piece.empty()) continue;  // for which zlib would begin a new sum
    member.bytes += piece.size();
    member.crc32 = static_cast<std::uint32_t>(
        ::crc32_z(member.crc32, reinterpret_cast<const Bytef*>(piece.data()), piece.size()));
  }
  const bool zip64 = member.bytes >= kFull32;
  std::string header;
  put<std::uint32_t>(header, kLocalSignature);
  put_common(header, zip64);
  put<std::uint32_t>(header, member.crc32);
  put<std::uint32_t>(header, zip64 ? kFull32 : member.bytes);
  put<std::uint32_t>(header, zip64 ? kFull32 : member.bytes);
  put<std::uint16_t>(header, name.size());
  put<std::uint16_t>(header, zip64 ? 20 : 0);
  header += name;
  if (zip64) {
    put<std::uint16_t>(header, kExtra64);
    put<std::uint16_t>(header, 16);
    put<std::uint64_t>(header, member.bytes);
    put<std::uint64_t>(header, member.bytes);
  }
  append(header);
  for (const auto piece : pieces) {
    file_.append(piece);
    position_ += piece.size();
  }
  members_.push_back(std::move(member));
}

void ZipWriter::append_central_header(const Written& member) {
  const bool wide = member.bytes >= kFull32;
  std::string extra;
  if (wide) {
    put<std::uint64_t>(extra, member.bytes);
    put<std::uint64_t>(extra, member.bytes);
  }
  if (member.offset >= kFull32) put<std::uint64_t>(extra, member.offset);
  std::string header;
  put<std::uint32_t>(header, kCentralSignature);
  put<std::uint16_t>(header, kVersion64);  // made by: of the format, for MS-DOS attributes
  put_common(header, !extra.empty());
  put<std::uint32_t>(header, member.crc32);
  put<std::uint32_t>(header, at_most(member.bytes, kFull32));
  put<std::uint32_t>(header, at_most(member.bytes, kFull32));
  put<std::uint16_t>(header, member.name.size());
  put<std::uint16_t>(header, extra.empty() ? 0 : extra.size() + 4);
  header.append(10, '\0');  // comment, part, attributes
  put<std::uint32_t>(header, at_most(member.offset, kFull32));
  header += member.name;
  if (!extra.empty()) {
    put<std::uint16_t>(header, kExtra64);
    put<std::uint16_t>(header, extra.size());
    header += extra;
  }
  append(header);
}

void ZipWriter::finish() {
  const std::uint64_t begin = position_;
  for (const Written& member : members_) append_central_header(member);
  const std::uint64_t bytes = position_ - begin;
  const std::uint64_t count = members_.size();
  std::string end;
  if (begin >= kFull32 || bytes >= kFull32 || count >= kFull16) {
    put<std::uint32_t>(end, kEnd64Signature);
    put<std::uint64_t>(end, kEnd64Bytes - 12);  // of what follows
    put<std::uint16_t>(end, kVersion64);
    put<std::uint16_t>(end, kVersion64);
    put<std::uint64_t>(end, 0);  // this part, and the directory's
    for (const std::uint64_t value : {count, count, bytes, begin}) put<std::uint64_t>(end, value);
    put<std::uint32_t>(end, kLocator64Signature);
    put<std::uint32_t>(end, 0);
    put<std::uint64_t>(end, position_);
    put<std::uint32_t>(end, 1);  // part in all
  }
  put<std::uint32_t>(end, kEndSignature);
  put<std::uint32_t>(end, 0);  // this part, and the directory's
  put<std::uint16_t>(end, at_most(count, kFull16));
  put<std::uint16_t>(end, at_most(count, kFull16));
  put<std::uint32_t>(end, at_most(bytes, kFull32));
  put<std::uint32_t>(end, at_most(begin, kFull32));
  put<std::uint16_t>(end, 0);  // comment
  append(end);
}

}  // namespace bit::storage
