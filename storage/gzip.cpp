#include "storage/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

constexpr std::size_t kInputBytes = std::size_t{256} << 10;
constexpr std::size_t kSkipBytes = std::size_t{64} << 10;
constexpr int kGzipOrZlib = 15 + 32;  // windowBits: the largest window, format by its header

bool is_gzip_header(std::span<const std::byte> bytes) {
  return bytes.size() >= 3 && bytes[0] == std::byte{0x1F} && bytes[1] == std::byte{0x8B} &&
         bytes[2] == std::byte{0x08};
}

// RFC 1950 section 2.2: method 8, window of at most 32 KiB, and a multiple of 31.
bool is_zlib_header(std::span<const std::byte> bytes) {
  if (bytes.size() < 2) return false;
  const auto method = std::to_integer<unsigned>(bytes[0]);
  const auto flags = std::to_integer<unsigned>(bytes[1]);
  return (method & 15) == 8 && method >> 4 <= 7 && (method * 256 + flags) % 31 == 0;
}

// Owns zlib's state.
class Inflater {
 public:
  Inflater() {
    if (::inflateInit2(&stream_, kGzipOrZlib) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { ::inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream& stream() { return stream_; }
  void restart() { ::inflateReset2(&stream_, kGzipOrZlib); }

 private:
  z_stream stream_{};
};

class GzipFile final : public ReadableFile {
 public:
  explicit GzipFile(std::unique_ptr<ReadableFile> file) : file_(std::move(file)) {}

  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset < position_) {
      throw std::logic_error("a read of " + path() + " at byte " + std::to_string(offset) +
                             ", behind byte " + std::to_string(position_) +
                             " of a file that is read in sequence");
    }
    while (position_ < offset) {
      if (skipped_.empty()) skipped_.resize(kSkipBytes);
      const auto bytes = std::min<std::uint64_t>(skipped_.size(), offset - position_);
      if (inflate(std::span(skipped_).first(bytes)) < bytes) return 0;
    }
    return inflate(out);
  }
  std::uint64_t size() const override { return kUnknownSize; }
  const std::string& path() const override { return file_->path(); }

 private:
  // Fills `out` with the bytes that are next, fewer only at the end.
  std::size_t inflate(std::span<std::byte> out) const {
    z_stream& stream = inflater_.stream();
    std::size_t done = 0;
    while (done < out.size() && !ended_) {
      if (stream.avail_in == 0) fill();
      const std::size_t asked = std::min(out.size() - done, std::size_t{1} << 30);
      stream.next_out = reinterpret_cast<Bytef*>(out.data() + done);
      stream.avail_out = static_cast<uInt>(asked);
      const int result = ::inflate(&stream, Z_NO_FLUSH);
      const std::size_t count = asked - stream.avail_out;
      done += count;
      position_ += count;
      if (result == Z_STREAM_END) {
        end_member();
      } else if (result == Z_MEM_ERROR) {
        throw std::bad_alloc();
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        fail(stream.msg != nullptr ? stream.msg : "needs a dictionary");
      } else if (count == 0 && stream.avail_in == 0 && at_end()) {
        fail("the file ends inside the stream");
      }
    }
    return done;
  }
  // After it there is input unless the file is at its end.
  void fill() const {
    z_stream& stream = inflater_.stream();
    const std::size_t count = file_->read_at(consumed_, input_);
    consumed_ += count;
    stream.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream.avail_in = static_cast<uInt>(count);
  }
  bool at_end() const {
    if (inflater_.stream().avail_in == 0) fill();
    return inflater_.stream().avail_in == 0;
  }
  // Goes on to the next member; zeros after the last one are padding.
  void end_member() const {
    z_stream& stream = inflater_.stream();
    bool padded = false;
    while (!at_end() && *stream.next_in == 0) {
      ++stream.next_in;
      --stream.avail_in;
      padded = true;
    }
    ended_ = at_end();
    if (ended_) return;
    if (padded || *stream.next_in != 0x1F) fail("what follows the end of the stream is not gzip");
    inflater_.restart();
  }
  [[noreturn]] void fail(const std::string& reason) const {
    throw DataError(path() + ": at byte " +
                    std::to_string(consumed_ - inflater_.stream().avail_in) +
                    " of the compressed file: " + reason);
  }

  std::unique_ptr<ReadableFile> file_;
  mutable Inflater inflater_;
  mutable std::vector<std::byte> input_ = std::vector<std::byte>(kInputBytes);
  mutable std::vector<std::byte> skipped_;
  mutable std::uint64_t consumed_ = 0;  // compressed bytes read into input_ so far
  mutable std::uint64_t position_ = 0;  // inflated bytes given so far
  mutable bool ended_ = false;
};

}  // namespace

bool is_gzip(const ReadableFile& file, bool or_zlib) {
  std::array<std::byte, kRecordFramingBytes> buffer;
  const auto begin = std::span<const std::byte>(buffer).first(file.read_at(0, buffer));
  if (!is_gzip_header(begin) && !(or_zlib && is_zlib_header(begin))) return false;
  if (begin.size() < kRecordHeaderBytes) return true;
  // Whether the first bytes are a record's length and its checksum.
  return parse_record(begin, false).fault == RecordFault::kLengthChecksum;
}

std::unique_ptr<ReadableFile> open_gzip(FileSystem& files, const std::string& path) {
  return std::make_unique<GzipFile>(files.open(path));
}

std::unique_ptr<ReadableFile> open_plain_or_gzip(FileSystem& files, const std::string& path) {
  auto file = files.open(path);
  if (!is_gzip(*file)) return file;
  return std::make_unique<GzipFile>(std::move(file));
}

}  // namespace bit::storage
