// The loop over symbols is scalar; Highway compiles it for the bit instructions that come with each
// vector instruction set.
#include <algorithm>
#include <cstring>

#include "pipeline/jpeg/entropy.h"
#include "pipeline/jpeg/header.h"
#include "pipeline/jpeg/idct_simd.h"
#include "pipeline/jpeg/scan_bytes_simd.h"
#include "pipeline/jpeg/scan_decoder.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "pipeline/jpeg/scan_decoder_simd.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#ifndef BIT_PIPELINE_SCAN_DECODER_ONCE
#define BIT_PIPELINE_SCAN_DECODER_ONCE
namespace bit::pipeline {
namespace {

// More than a block can take: 64 symbols of 27 bits and what a refill reads ahead.
constexpr std::size_t kBytesAfterEnd = 256;

// Where the coefficient lies that is the last of `passed` ones (T.81 figure 5), in its tile. A
// block that is too long writes to the last one, and so does the symbol for the end of a block,
// which comes with a value of 0 and never after that coefficient.
constexpr std::array<std::uint8_t, 256> make_places() {
  std::array<std::uint8_t, 256> places{};
  for (std::size_t passed = 1; passed < places.size(); ++passed) {
    const std::uint8_t place = kZigzag[std::min<std::size_t>(passed, 64) - 1];
    places[passed] = static_cast<std::uint8_t>(place / 8 * kTileRow + place % 8);
  }
  return places;
}

constexpr std::array<std::uint8_t, 256> kPlaces = make_places();
constexpr std::uint32_t kBlockDone = 0xC000;  // any of these bits of a state: 64 or more passed

// Coefficients that nobody needs.
struct alignas(64) UnwantedTile {
  std::int16_t coefficients[kTileCoefficients];
};

}  // namespace
}  // namespace bit::pipeline
#endif

HWY_BEFORE_NAMESPACE();
namespace bit::pipeline {
namespace HWY_NAMESPACE {

// What of a stream is in registers while it is in a block.
struct Cursor {
  std::uint64_t bits;
  std::uint32_t state;
  const std::uint8_t* next;
  std::int16_t* block;
  const AcCodes::Entry* codes;

  HWY_INLINE explicit Cursor(const ScanStream& s)
      : bits(s.bits), state(s.state), next(s.next), block(s.block), codes(s.codes) {}
  HWY_INLINE void store(ScanStream& s) const {
    s.bits = bits;
    s.state = state;
    s.next = next;
    s.block = block;
    s.codes = codes;
  }
  // Makes at least 56 bits valid.
  HWY_INLINE void refill() {
    bits |= load_big_endian(next) >> (~state & 63);
    next += state >> 3 & 7;
    state &= ~0xF8U;
  }
  HWY_INLINE std::uint32_t passed() const { return state >> 8 & 255; }
  // The first byte of which no bit is taken.
  HWY_INLINE const std::uint8_t* position() const { return next - ((63 - (state & 63)) >> 3); }
  HWY_INLINE bool done() const { return (state & kBlockDone) != 0; }
};

// The value that the `size` bits after a code stand for (T.81 table F.1), at most 16.
HWY_INLINE std::int32_t value_of(std::uint64_t from_value, std::uint32_t size) {
  const auto bits = static_cast<std::int32_t>(from_value >> 1 >> (63 - size));
  const auto negative = static_cast<std::int32_t>(~(static_cast<std::int64_t>(from_value) >> 63));
  return bits - (((1 << size) - 1) & negative);  // signs are not to be foreseen: no branch
}

// A code that AcCodes has no entry for. Leaves at least 56 bits.
HWY_NOINLINE Cursor take_rare(Cursor c, const HuffmanDecoder& codes) {
  c.refill();
  const HuffmanDecoder::Entry entry = codes.find(c.bits);
  const std::uint32_t size = entry >> 24 & 15, total = entry & 255, passed = entry >> 8 & 255;
  if (passed == HuffmanDecoder::kBad) {
    c.state |= 127U << 8;  // ends the block, as one that is too long
    return c;
  }
  const std::int32_t value = value_of(c.bits << (entry >> 16 & 63), size);
  c.bits <<= total;
  c.state += passed << 8 | total;
  c.block[kPlaces[c.passed()]] = static_cast<std::int16_t>(value);
  c.refill();
  return c;
}

HWY_INLINE void take(Cursor& c, const Scan& scan, const ScanStream& stream) {
  const AcCodes::Entry entry = c.codes[c.bits >> (64 - AcCodes::kLookBits)];
  if (HWY_UNLIKELY(entry == 0)) {
    c = take_rare(c, scan.blocks[stream.block_of_mcu].ac->all());  // by value: stays in registers
    return;
  }
  const auto size = static_cast<std::uint8_t>(entry >> 16);
  const auto value = static_cast<std::int32_t>(c.bits >> (-entry & 63) & ((1U << size) - 1));
  c.state += entry;
  c.block[kPlaces[c.passed()]] =
      static_cast<std::int16_t>(value + (static_cast<std::int32_t>(entry) >> 24));
  c.bits <<= entry & 63;
}

// Goes through a row block by block.
class RowDecoder {
 public:
  RowDecoder(const Scan& scan, ScanStream& stream, std::int16_t* unwanted)
      : scan_(scan), stream_(stream), unwanted_(unwanted) {}

  bool start(const McuRow& row) {
    stream_.row = row;
    row_end_ = row.first + row.count;
    const std::uint64_t interval = row.first / scan_.interval;
    const bool same =
        stream_.positioned && stream_.mcu <= row.first && stream_.interval_end == end_of(interval);
    if (!same && !start_interval(interval)) return false;
    Cursor c(stream_);
    if (!start_block(c)) return false;
    c.store(stream_);
    return true;
  }

  // The block of `c` is complete: goes on to the next one. False at the end of the row, when the
  // stream is at the next MCU, or when the data is damaged.
  HWY_INLINE bool next_block(Cursor& c) {
    ScanStream& s = stream_;
    const std::uint32_t passed = c.passed();
    if (HWY_UNLIKELY((passed > 64 && passed < AcCodes::kEndOfBlock) || c.position() > s.end)) {
      return fail();
    }
    if (++s.block_of_mcu == scan_.block_count) {
      s.block_of_mcu = 0;
      if (++s.mcu == s.interval_end || s.mcu == row_end_) {
        c.store(s);
        if (!next_interval()) return false;
        c = Cursor(s);
      }
    }
    return start_block(c);
  }
  bool failed() const { return failed_; }

 private:
  bool fail() {
    failed_ = true;
    return false;
  }
  std::uint64_t end_of(std::uint64_t interval) const {
    return std::min((interval + 1) * scan_.interval, scan_.mcus);
  }

  // At the end of an interval or of the row; false unless the row goes on.
  HWY_NOINLINE bool next_interval() {
    if (stream_.mcu == stream_.interval_end) {
      if (Cursor(stream_).position() != stream_.end) return fail();
      stream_.positioned = false;
      if (stream_.mcu < row_end_) return start_interval(stream_.mcu / scan_.interval);
    }
    return stream_.mcu < row_end_;
  }

  HWY_NOINLINE bool start_interval(std::uint64_t interval) {
    ScanStream& s = stream_;
    s.positioned = false;
    if (interval >= scan_.starts.size()) return fail();
    const std::uint32_t start = scan_.starts[interval];
    if (interval > 0 && (scan_.coded[start - 1] & 7) != (interval - 1) % 8) return fail();
    const bool last = interval + 1 >= scan_.starts.size();
    const std::size_t stop = last ? scan_.coded.size() : scan_.starts[interval + 1] - 2;
    const auto coded = scan_.coded.subspan(start, stop - start);
    const std::size_t room = coded.size() + std::max(kBytesAfterEnd, kUnstuffSlack);
    if (s.bytes.size() < room) s.bytes.resize(room);
    std::size_t taken = 0;
    const std::size_t size = unstuff(coded, scan_.coded.size() - start, s.bytes.data(), taken);
    if (!last && taken != coded.size()) return fail();
    std::memset(s.bytes.data() + size, 0, room - size);
    s.next = s.bytes.data();
    s.end = s.next + size;
    s.bits = 0;
    s.state = 63;
    s.mcu = interval * scan_.interval;
    s.interval_end = end_of(interval);
    s.block_of_mcu = 0;
    s.dc = {};
    s.positioned = true;
    return true;
  }

  // Finds the place of the block and decodes its DC coefficient.
  HWY_INLINE bool start_block(Cursor& c) {
    ScanStream& s = stream_;
    const McuBlock& place = scan_.blocks[s.block_of_mcu];
    c.refill();
    const HuffmanDecoder::Entry entry = place.dc->find(c.bits);
    if (HWY_LIKELY(s.mcu >= s.row.first)) {
      const auto x = static_cast<std::uint32_t>(s.mcu - s.row.first) * place.across + place.x;
      c.block =
          s.row.tiles[s.block_of_mcu] + x / kTileBlocks * kTileCoefficients + x % kTileBlocks * 8;
    } else {
      c.block = unwanted_;
    }
    c.codes = place.ac->entries();
    if (HWY_UNLIKELY((entry >> 8 & 255) != 1)) return fail();
    std::int32_t& dc = s.dc[place.component];
    dc += value_of(c.bits << (entry >> 16 & 63), entry >> 24);
    c.bits <<= entry & 63;
    c.state = (c.state & 63) + (1U << 8) + (entry & 255);
    c.refill();
    c.block[0] = static_cast<std::int16_t>(dc);
    return HWY_LIKELY(dc == static_cast<std::int16_t>(dc)) || fail();
  }

  const Scan& scan_;
  ScanStream& stream_;
  std::int16_t* const unwanted_;
  std::uint64_t row_end_ = 0;
  bool failed_ = false;
};

// From the block that the stream is in to the end of the row.
bool finish_row(const Scan& scan, ScanStream& stream, RowDecoder& decoder) {
  Cursor c(stream);
  do {
    for (;;) {
      if (take(c, scan, stream); c.done()) break;
      if (take(c, scan, stream); c.done()) break;
      if (take(c, scan, stream); c.done()) break;
      c.refill();
    }
    c.refill();
  } while (decoder.next_block(c));
  return !decoder.failed();
}

// False when at least one of the blocks is complete.
HWY_INLINE bool take_both(Cursor& a, Cursor& b, const Scan& scan,
                          const std::array<ScanStream, 2>& streams) {
  take(a, scan, streams[0]);
  take(b, scan, streams[1]);
  return ((a.state | b.state) & kBlockDone) == 0;
}

bool decode_mcu_rows_simd(const Scan& scan, std::span<const McuRow> rows,
                          std::array<ScanStream, 2>& streams) {
  UnwantedTile unwanted;
  ScanStream &first = streams[0], &second = streams[1];
  RowDecoder first_row(scan, first, unwanted.coefficients);
  RowDecoder second_row(scan, second, unwanted.coefficients);
  if (!first_row.start(rows[0])) return false;
  if (rows.size() == 1) return finish_row(scan, first, first_row);
  if (!second_row.start(rows[1])) return false;
  Cursor a(first), b(second);
  for (;;) {
    for (;;) {
      if (!take_both(a, b, scan, streams)) break;
      if (!take_both(a, b, scan, streams)) break;
      if (!take_both(a, b, scan, streams)) break;
      a.refill();
      b.refill();
    }
    a.refill();
    b.refill();
    if (a.done() && !first_row.next_block(a)) {
      b.store(second);
      if (first_row.failed()) return false;
      if (b.done() && !second_row.next_block(b)) return !second_row.failed();
      b.store(second);
      return finish_row(scan, second, second_row);
    }
    if (b.done() && !second_row.next_block(b)) {
      a.store(first);
      return !second_row.failed() && finish_row(scan, first, first_row);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bit::pipeline
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bit::pipeline {

HWY_EXPORT(decode_mcu_rows_simd);

bool decode_mcu_rows(const Scan& scan, std::span<const McuRow> rows,
                     std::array<ScanStream, 2>& streams) {
  return HWY_DYNAMIC_DISPATCH(decode_mcu_rows_simd)(scan, rows, streams);
}

}  // namespace bit::pipeline
#endif
