#include "storage/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <set>
#include <string_view>

#include "storage/tfrecord.h"
#include "storage/zip_parts.h"

namespace bit::storage {
namespace {

using namespace zip;

constexpr std::uint64_t kDeflateRatio = 1032;  // at most (zlib, "Maximum expansion factor")
constexpr std::uint16_t kEncrypted = 1;
constexpr std::size_t kMaxCommentBytes = 0xFFFF;

template <typename T>
T number_at(std::span<const std::byte> bytes, std::size_t offset) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

// `count` bytes from `offset` of `bytes`.
std::span<const std::byte> part(std::span<const std::byte> bytes, std::uint64_t offset,
                                std::uint64_t count, const char* what) {
  if (offset > bytes.size() || count > bytes.size() - offset) {
    throw DataError(std::string(what) + " lies outside the file");
  }
  return bytes.subspan(offset, count);
}

struct Directory {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t members = 0;
};

// The end record is the last thing in the file but for a comment, whose length it says.
std::size_t find_end(std::span<const std::byte> file) {
  if (file.size() < kEndBytes) throw DataError("shorter than the end of a zip archive");
  const std::size_t last = file.size() - kEndBytes;
  const std::size_t first = last > kMaxCommentBytes ? last - kMaxCommentBytes : 0;
  for (std::size_t at = last + 1; at-- > first;) {
    if (number_at<std::uint32_t>(file, at) == kEndSignature &&
        number_at<std::uint16_t>(file, at + 20) == last - at) {
      return at;
    }
  }
  throw DataError("the end of a zip archive is not there: the file is cut, or of another kind");
}

// What the end record leaves to the one of 64 bits, which a locator right before it points to.
void read_end64(std::span<const std::byte> file, std::size_t end, Directory& directory) {
  if (end < kLocator64Bytes ||
      number_at<std::uint32_t>(file, end - kLocator64Bytes) != kLocator64Signature) {
    throw DataError("the locator of the ZIP64 end is missing");
  }
  const auto locator = file.subspan(end - kLocator64Bytes, kLocator64Bytes);
  const auto offset = number_at<std::uint64_t>(locator, 8);
  const auto record = part(file.first(end - kLocator64Bytes), offset, kEnd64Bytes, "the ZIP64 end");
  if (number_at<std::uint32_t>(record, 0) != kEnd64Signature) {
    throw DataError("the ZIP64 end is not where its locator says");
  }
  if (number_at<std::uint32_t>(locator, 4) != 0 || number_at<std::uint32_t>(record, 16) != 0 ||
      number_at<std::uint32_t>(record, 20) != 0) {
    throw DataError("an archive of several parts is not supported");
  }
  directory.members = number_at<std::uint64_t>(record, 32);
  directory.bytes = number_at<std::uint64_t>(record, 40);
  directory.offset = number_at<std::uint64_t>(record, 48);
}

Directory find_directory(std::span<const std::byte> file) {
  const std::size_t end = find_end(file);
  Directory directory;
  directory.members = number_at<std::uint16_t>(file, end + 10);
  directory.bytes = number_at<std::uint32_t>(file, end + 12);
  directory.offset = number_at<std::uint32_t>(file, end + 16);
  if (directory.members == kFull16 || directory.bytes == kFull32 || directory.offset == kFull32) {
    read_end64(file, end, directory);
  } else if (number_at<std::uint32_t>(file, end + 4) != 0) {
    throw DataError("an archive of several parts is not supported");
  }
  part(file.first(end), directory.offset, directory.bytes, "the central directory");
  if (directory.members > directory.bytes / kCentralBytes) {
    throw DataError("the central directory is too short for its members");
  }
  return directory;
}

struct Sizes {
  std::uint64_t bytes = 0;   // of the content
  std::uint64_t stored = 0;  // in the archive
  std::uint64_t offset = 0;  // of the local header
};

// Numbers that are full in the header of 32 bits stand in the extra field, in this order.
void read_extra64(std::span<const std::byte> extra, Sizes& sizes) {
  std::span<const std::byte> field;
  while (extra.size() >= 4) {
    const std::size_t length = number_at<std::uint16_t>(extra, 2);
    if (length > extra.size() - 4) break;
    if (number_at<std::uint16_t>(extra, 0) == kExtra64) field = extra.subspan(4, length);
    extra = extra.subspan(4 + length);
  }
  for (std::uint64_t* value : {&sizes.bytes, &sizes.stored, &sizes.offset}) {
    if (*value != kFull32) continue;
    if (field.size() < sizeof(*value)) throw DataError("its ZIP64 field is missing or too short");
    *value = number_at<std::uint64_t>(field, 0);
    field = field.subspan(sizeof(*value));
  }
}

ZipMethod method_of(std::uint16_t number) {
  if (number == 0) return ZipMethod::kStored;
  if (number == Z_DEFLATED) return ZipMethod::kDeflated;
  throw DataError("compression method " + std::to_string(number) +
                  " is not supported: stored and deflate are");
}

// Follows a member to its data; `before` is the file up to the central directory.
std::span<const std::byte> find_data(std::span<const std::byte> before, const ZipMember& member,
                                     const Sizes& sizes) {
  const auto local = part(before, sizes.offset, kLocalBytes, "its local header");
  if (number_at<std::uint32_t>(local, 0) != kLocalSignature) {
    throw DataError("its local header is not where the central directory says");
  }
  const std::uint64_t name_bytes = number_at<std::uint16_t>(local, 26);
  const std::uint64_t extra_bytes = number_at<std::uint16_t>(local, 28);
  const auto name = part(before, sizes.offset + kLocalBytes, name_bytes, "its local name");
  if (!std::ranges::equal(name, std::as_bytes(std::span(member.name)))) {
    throw DataError("its local header has another name");
  }
  return part(before, sizes.offset + kLocalBytes + name_bytes + extra_bytes, sizes.stored,
              "its data");
}

struct Placed {
  ZipMember member;
  std::uint64_t begin = 0;  // of the local header
  std::uint64_t end = 0;    // of the data
};

Placed parse_member(std::span<const std::byte> file, const Directory& directory,
                    std::span<const std::byte> header, std::span<const std::byte> variable) {
  Placed placed;
  ZipMember& member = placed.member;
  const std::size_t name_bytes = number_at<std::uint16_t>(header, 28);
  const std::size_t extra_bytes = number_at<std::uint16_t>(header, 30);
  member.name.assign(reinterpret_cast<const char*>(variable.data()), name_bytes);
  try {
    if ((number_at<std::uint16_t>(header, 8) & kEncrypted) != 0) throw DataError("is encrypted");
    member.method = method_of(number_at<std::uint16_t>(header, 10));
    member.crc32 = number_at<std::uint32_t>(header, 16);
    Sizes sizes{number_at<std::uint32_t>(header, 24), number_at<std::uint32_t>(header, 20),
                number_at<std::uint32_t>(header, 42)};
    read_extra64(variable.subspan(name_bytes, extra_bytes), sizes);
    member.bytes = sizes.bytes;
    member.data = find_data(file.first(directory.offset), member, sizes);
    const bool possible = member.method == ZipMethod::kStored
                              ? sizes.bytes == sizes.stored
                              : sizes.bytes / kDeflateRatio <= sizes.stored;
    if (!possible) throw DataError("its sizes contradict each other");
    placed.begin = sizes.offset;
    placed.end = static_cast<std::uint64_t>(member.data.data() - file.data()) + sizes.stored;
  } catch (const DataError& error) {
    throw DataError("member '" + member.name + "': " + error.what());
  }
  return placed;
}

void check_apart(std::vector<const Placed*> members) {
  std::ranges::sort(members, {}, &Placed::begin);
  for (std::size_t i = 1; i < members.size(); ++i) {
    if (members[i]->begin < members[i - 1]->end) {
      throw DataError("member '" + members[i]->member.name + "': overlaps '" +
                      members[i - 1]->member.name + "'");
    }
  }
}

}  // namespace

std::vector<ZipMember> parse_zip(std::span<const std::byte> file) {
  const Directory directory = find_directory(file);
  auto rest = file.subspan(directory.offset, directory.bytes);
  std::vector<Placed> placed;
  std::vector<const Placed*> order;
  std::set<std::string_view> names;
  placed.reserve(directory.members);
  for (std::uint64_t i = 0; i < directory.members; ++i) {
    const auto header = part(rest, 0, kCentralBytes, "a member of the central directory");
    if (number_at<std::uint32_t>(header, 0) != kCentralSignature) {
      throw DataError("the central directory is damaged at member " + std::to_string(i));
    }
    std::size_t bytes = 0;  // name, extra field, comment
    for (const std::size_t field : {28, 30, 32}) bytes += number_at<std::uint16_t>(header, field);
    const auto variable = part(rest, kCentralBytes, bytes, "a member of the central directory");
    rest = rest.subspan(kCentralBytes + bytes);
    placed.push_back(parse_member(file, directory, header, variable));
    order.push_back(&placed.back());
    if (!names.insert(placed.back().member.name).second) {
      throw DataError("member '" + placed.back().member.name + "' is there twice");
    }
  }
  if (!rest.empty()) throw DataError("the central directory has more than its members");
  check_apart(std::move(order));
  std::vector<ZipMember> members;
  members.reserve(placed.size());
  for (Placed& each : placed) members.push_back(std::move(each.member));
  return members;
}

struct ZipMemberReader::Inflater {
  z_stream stream{};
  Inflater() {
    if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { ::inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

ZipMemberReader::ZipMemberReader(const ZipMember& member) : member_(member) {
  if (member.method == ZipMethod::kDeflated) inflater_ = std::make_unique<Inflater>();
}

ZipMemberReader::~ZipMemberReader() = default;

// Returns the bytes made, fewer only at the end of the stream.
std::size_t ZipMemberReader::inflate(std::span<std::byte> out) {
  constexpr std::size_t kPiece = std::size_t{1} << 30;  // zlib counts in 32 bits
  z_stream& stream = inflater_->stream;
  std::size_t done = 0;
  while (done < out.size()) {
    const auto input = member_.data.subspan(position_);
    const std::size_t given = std::min(input.size(), kPiece);
    const std::size_t asked = std::min(out.size() - done, kPiece);
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(input.data()));
    stream.avail_in = static_cast<uInt>(given);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    stream.avail_out = static_cast<uInt>(asked);
    const int result = ::inflate(&stream, Z_NO_FLUSH);
    const std::size_t made = asked - stream.avail_out;
    const std::size_t taken = given - stream.avail_in;
    position_ += taken;
    done += made;
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result == Z_STREAM_END) break;
    if (result != Z_OK && result != Z_BUF_ERROR) {
      fail(stream.msg != nullptr ? stream.msg : "its data is damaged");
    }
    if (made == 0 && taken == 0) break;
  }
  return done;
}

void ZipMemberReader::read(std::span<std::byte> out) {
  if (out.size() > member_.bytes - given_) fail("it ends too early");
  if (inflater_ == nullptr) {
    const auto source = member_.data.subspan(position_, out.size());
    std::ranges::copy(source, out.begin());
    position_ += out.size();
  } else if (inflate(out) < out.size()) {
    fail("its compressed data ends too early");
  }
  if (out.empty()) return;  // for which zlib would begin a new sum
  given_ += out.size();
  crc32_ = static_cast<std::uint32_t>(
      ::crc32_z(crc32_, reinterpret_cast<const Bytef*>(out.data()), out.size()));
}

void ZipMemberReader::finish() {
  std::byte more{};
  if (given_ != member_.bytes) fail("it goes on behind what was expected");
  if (inflater_ != nullptr && inflate({&more, 1}) != 0) {
    fail("its compressed data goes on behind its size");
  }
  if (crc32_ != member_.crc32) fail("its checksum is wrong: the data is damaged");
}

void ZipMemberReader::fail(const std::string& reason) const {
  throw DataError("member '" + member_.name + "': " + reason);
}

}  // namespace bit::storage
