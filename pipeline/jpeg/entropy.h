// The coded data of a scan as bits: taken out of a file without its stuffed zeros and restart
// markers, and put into one with them (ITU-T T.81 §B.1.1.5, §F.1.2.3).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace bit::pipeline {

static_assert(std::endian::native == std::endian::little, "bits are moved eight bytes at a time");

inline std::uint64_t load_big_endian(const std::uint8_t* from) {
  std::uint64_t value;
  std::memcpy(&value, from, sizeof value);
  return __builtin_bswap64(value);
}

inline void store_big_endian(std::uint8_t* to, std::uint64_t value) {
  value = __builtin_bswap64(value);
  std::memcpy(to, &value, sizeof value);
}

// Bytes whose restart intervals follow each other.
struct EntropyCoded {
  std::unique_ptr<std::uint8_t[]> bytes;
  std::vector<std::size_t> ends;  // of the intervals, in `bytes`
};

// Zeros after the last interval: more than the symbols of one MCU take, so that only its end needs
// to be checked against the interval's.
inline constexpr std::size_t kEntropyPadding = 4096;

// `coded` goes from the scan's header to the end of the file. Nothing unless there are exactly
// `intervals`, with their markers in order, followed by the end of the image or of the file.
std::optional<EntropyCoded> take_entropy_coded(std::span<const std::byte> coded,
                                               std::size_t intervals);

// Appends the intervals, stuffed and with restart markers between them, and the end marker.
void put_entropy_coded(const EntropyCoded& coded, std::vector<std::byte>& out);

// The next bits are the top ones of bits(); refill() makes at least 56 of them valid.
class BitReader {
 public:
  explicit BitReader(const std::uint8_t* next) : next_(next) {}

  void refill() {
    bits_ |= load_big_endian(next_) >> count_;
    next_ += (63 - count_) >> 3;
    count_ |= 56;
  }
  std::uint64_t bits() const { return bits_; }
  void skip(std::uint32_t count) {  // at most 63, of valid bits
    bits_ <<= count & 63;
    count_ -= count & 63;
  }
  // The first byte of which no bit is taken.
  const std::uint8_t* position() const { return next_ - (count_ >> 3); }

 private:
  const std::uint8_t* next_;
  std::uint64_t bits_ = 0;
  std::uint64_t count_ = 0;  // valid bits
};

class BitWriter {
 public:
  static constexpr std::size_t kPadding = 8;  // bytes that are needed after those that are written

  explicit BitWriter(std::uint8_t* next) : next_(next) {}

  // The low `count` bits, at most 56.
  void put(std::uint64_t bits, std::uint64_t count) {
    bits_ |= bits << (64 - count_ - count);
    count_ += count;
    store_big_endian(next_, bits_);
    next_ += count_ >> 3;
    bits_ <<= count_ & 56;
    count_ &= 7;
  }
  // Fills the byte with ones; the position after it.
  std::uint8_t* finish() {
    if (count_ > 0) put(0xFFu >> count_, 8 - count_);
    return next_;
  }

 private:
  std::uint8_t* next_;
  std::uint64_t bits_ = 0;   // the next ones from the top
  std::uint64_t count_ = 0;  // of bits_, at most 7 between calls
};

}  // namespace bit::pipeline
