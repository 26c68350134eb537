#include "storage/tar.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kMaxBytes = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kEndReadBytes = std::size_t{64} << 10;

// Fields of a header: POSIX.1-1988, "ustar Interchange Format"; GNU tar, "Basic Tar Format".
struct Field {
  std::size_t offset, bytes;
};
constexpr Field kName{0, 100}, kSize{124, 12}, kChecksum{148, 8}, kMagic{257, 6}, kPrefix{345, 155};
constexpr std::size_t kTypeOffset = 156;
constexpr std::size_t kSparseMoreOffset = 482;      // of a GNU sparse member: more headers follow
constexpr std::size_t kSparseMoreMoreOffset = 504;  // the same in one of these

std::string_view field(std::span<const std::byte> header, Field where) {
  return {reinterpret_cast<const char*>(header.data()) + where.offset, where.bytes};
}

// Up to the first NUL.
std::string_view text(std::span<const std::byte> header, Field where) {
  const std::string_view all = field(header, where);
  return all.substr(0, all.find('\0'));
}

// Octal digits between spaces, ended by a space or NUL; nothing is 0. In GNU's form the first bit
// is set and the rest is a big-endian number.
std::optional<std::uint64_t> number(std::string_view digits) {
  std::uint64_t value = 0;
  if (!digits.empty() && (static_cast<unsigned char>(digits.front()) & 0x80) != 0) {
    for (std::size_t i = 0; i < digits.size(); ++i) {
      const auto byte = static_cast<unsigned char>(digits[i]) & (i == 0 ? 0x7Fu : 0xFFu);
      if (value > (kMaxBytes >> 8)) return std::nullopt;
      value = value << 8 | byte;
    }
    return value;
  }
  digits.remove_prefix(std::min(digits.find_first_not_of(' '), digits.size()));
  digits = digits.substr(0, digits.find_first_of(std::string_view(" \0", 2)));
  for (const char digit : digits) {
    if (digit < '0' || digit > '7') return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(digit - '0');  // 12 digits are 36 bits
  }
  return value;
}

// The sum of all bytes with the checksum's own as spaces. Some old writers added signed bytes.
bool checksum_fits(std::span<const std::byte> header) {
  const auto stored = number(field(header, kChecksum));
  std::int64_t sum = 0, signed_sum = 0;
  for (std::size_t i = 0; i < header.size(); ++i) {
    const bool own = i - kChecksum.offset < kChecksum.bytes;
    const auto byte = own ? std::uint8_t{' '} : std::to_integer<std::uint8_t>(header[i]);
    sum += byte;
    signed_sum += static_cast<std::int8_t>(byte);
  }
  return stored && (static_cast<std::int64_t>(*stored) == sum ||
                    static_cast<std::int64_t>(*stored) == signed_sum);
}

bool all_zeros(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

// With the prefix, where the format has one: GNU's own ("ustar ") keeps other things there.
std::string name_of(std::span<const std::byte> header) {
  const std::string_view name = text(header, kName);
  const std::string_view prefix = text(header, kPrefix);
  if (field(header, kMagic) != std::string_view("ustar\0", 6) || prefix.empty()) {
    return std::string(name);
  }
  return std::string(prefix) + "/" + std::string(name);
}

TarType type_of(char flag, std::string_view name) {
  switch (flag) {
    case '\0':  // V7 knows directories by their names
      return name.ends_with('/') ? TarType::kDirectory : TarType::kFile;
    case '0':
    case '7':  // contiguous
      return TarType::kFile;
    case '1':
    case '2':
      return TarType::kLink;
    case '5':
      return TarType::kDirectory;
    case 'S':
      return TarType::kSparse;
    default:
      return TarType::kOther;
  }
}

// Links, devices, directories and pipes have no data, whatever their size says (POSIX.1-1988).
bool has_data(char flag) { return flag < '1' || flag > '6'; }

std::optional<std::uint64_t> decimal(std::string_view digits) {
  std::uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

}  // namespace

TarReader::TarReader(const ReadableFile& file, std::uint64_t offset, std::uint64_t bytes)
    : file_(file),
      begin_(offset),
      end_(bytes == kUnknownSize ? file.size() : offset + bytes),
      position_(offset) {}

std::optional<TarMember> TarReader::next() {
  if (ended_) return std::nullopt;
  Attributes attributes = global_;
  Block header;
  bool announced = false;
  while (read_header(header)) {
    announced = true;
    const auto bytes = number(field(header, kSize));
    if (!bytes || *bytes > kMaxBytes) fail(header_, "the size of a member is not a number");
    switch (std::to_integer<char>(header[kTypeOffset])) {
      case 'L': {  // the name, ended by NUL
        const std::string name = read_text(*bytes);
        attributes.name = name.substr(0, name.find('\0'));
        break;
      }
      case 'K':  // where a link leads
        skip(*bytes);
        break;
      case 'x':
      case 'X':  // Solaris
        read_attributes(*bytes, attributes);
        break;
      case 'g':
        read_attributes(*bytes, global_);
        attributes = global_;
        break;
      default:
        return member(header, attributes);
    }
  }
  if (announced) fail(header_, "the tar ends where a member was announced");
  return std::nullopt;
}

bool TarReader::read_header(Block& block) {
  header_ = position_;
  if (position_ == end_ && position_ != begin_) {
    ended_ = true;
    return false;
  }
  read_block(block);
  if (all_zeros(block)) {
    check_end(block);
    ended_ = true;
    return false;
  }
  if (!checksum_fits(block)) {
    fail(header_, "not the header of a tar's member (its checksum does not fit)");
  }
  return true;
}

void TarReader::read_block(Block& block) {
  const std::size_t left = std::min<std::uint64_t>(block.size(), end_ - position_);
  const std::size_t count = file_.read_at(position_, std::span(block).first(left));
  if (count < block.size()) {
    if (count == 0 && position_ == begin_) fail(position_, "an empty file is not a tar");
    if (count == 0 && !end_is_known()) {
      fail(position_, "the stream ends before, or without, the end of the tar");
    }
    fail(position_ + count, "the file ends inside a header");
  }
  position_ += block.size();
}

void TarReader::check_end(const Block& first) {
  std::vector<std::byte> rest(kEndReadBytes);
  for (std::uint64_t at = header_ + first.size(); at < end_;) {
    const std::size_t left = std::min<std::uint64_t>(rest.size(), end_ - at);
    const std::size_t count = file_.read_at(at, std::span(rest).first(left));
    if (!all_zeros(std::span(rest).first(count))) {
      fail(header_,
           "zeros mark the end of the tar, but more follows (zeroed by damage, or several "
           "tars joined to one?)");
    }
    if (count < left) break;
    at += count;
  }
}

std::string TarReader::read_text(std::uint64_t bytes) {
  if (bytes > kMaxTextBytes) fail(header_, "a name or attributes of more than 1 MiB");
  std::string content(bytes, '\0');
  const std::uint64_t at = position_;
  skip(bytes);
  if (file_.read_at(at, std::as_writable_bytes(std::span(content))) < bytes) {
    fail(header_, "the file ends inside a name or attributes");
  }
  return content;
}

// Records of "<bytes of the record> <key>=<value>\n" (POSIX.1-2001, pax).
void TarReader::read_attributes(std::uint64_t bytes, Attributes& attributes) {
  const std::string content = read_text(bytes);
  const auto wrong = [&] { fail(header_, "attributes (a pax header) that cannot be understood"); };
  for (std::string_view rest = content; !rest.empty() && rest.front() != '\0';) {
    const std::size_t space = std::min(rest.find(' '), rest.size());
    const auto record_bytes = decimal(rest.substr(0, space));
    if (!record_bytes || *record_bytes > rest.size() || *record_bytes < space + 3) wrong();
    const std::string_view record = rest.substr(space + 1, *record_bytes - space - 1);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos || record.back() != '\n') wrong();
    const std::string_view key = record.substr(0, equals);
    const std::string_view value = record.substr(equals + 1, record.size() - equals - 2);
    if (key == "path") attributes.name = std::string(value);
    if (key == "size") {
      attributes.bytes = decimal(value);
      if (!attributes.bytes || *attributes.bytes > kMaxBytes) wrong();
    }
    if (key.starts_with("GNU.sparse.")) attributes.sparse = true;
    if (key == "GNU.sparse.name") attributes.name = std::string(value);
    rest.remove_prefix(*record_bytes);
  }
}

TarMember TarReader::member(const Block& header, const Attributes& attributes) {
  const char flag = std::to_integer<char>(header[kTypeOffset]);
  TarMember found;
  found.name = attributes.name ? *attributes.name : name_of(header);
  found.type = type_of(flag, found.name);
  if (attributes.sparse && found.type == TarType::kFile) found.type = TarType::kSparse;
  if (flag == 'S') skip_sparse_headers(header);
  if (has_data(flag) && found.type != TarType::kDirectory) {
    found.bytes = attributes.bytes.value_or(number(field(header, kSize)).value_or(0));
  }
  found.offset = position_;
  skip(found.bytes);
  return found;
}

void TarReader::skip_sparse_headers(const Block& header) {
  bool more = header[kSparseMoreOffset] != std::byte{0};
  for (Block block; more; more = block[kSparseMoreMoreOffset] != std::byte{0}) read_block(block);
}

void TarReader::skip(std::uint64_t bytes) {
  if (end_is_known() && bytes > end_ - position_) {
    fail(header_, "the file ends inside a member: it has " + std::to_string(end_ - position_) +
                      " of " + std::to_string(bytes) + " bytes");
  }
  // The padding of the last member may be missing.
  position_ = std::min(position_ + (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes, end_);
}

void TarReader::fail(std::uint64_t offset, const std::string& reason) const {
  throw DataError(file_.path() + ": at byte " + std::to_string(offset) + ": " + reason);
}

}  // namespace bit::storage
