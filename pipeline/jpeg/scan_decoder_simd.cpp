// The loop over symbols is scalar; Highway compiles it for the bit instructions that come with each
// vector instruction set.
#include <algorithm>
#include <cstring>

#include "pipeline/jpeg/entropy.h"
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
  int row = 0, column = 0;
  for (std::size_t passed = 0; passed < places.size(); ++passed) {
    places[passed] = static_cast<std::uint8_t>(row * static_cast<int>(kTileRow) + column);
    if (passed == 0 || (row == 7 && column == 7)) continue;  // 1 is the first coefficient
    if ((row + column) % 2 == 0) {                           // up and to the right
      if (column == 7) {
        ++row;
      } else if (row == 0) {
        ++column;
      } else {
        --row, ++column;
      }
    } else {
      if (row == 7) {
        ++column;
      } else if (column == 0) {
        ++row;
      } else {
        ++row, --column;
      }
    }
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
  }
  // Makes at least 56 bits valid.
  HWY_INLINE void refill() {
    bits |= load_big_endian(next) >> (~state & 63);
    next += state >> 3 & 7;
    state &= ~0xF8U;
  }
  HWY_INLINE std::uint32_t passed() const { return state >> 8 & 255; }
  HWY_INLINE bool done() const { return (state & kBlockDone) != 0; }
};

// A code that AcCodes has no entry for. Leaves at least 56 bits.
HWY_NOINLINE Cursor take_rare(Cursor c, const HuffmanDecoder& codes) {
  c.refill();
  const HuffmanDecoder::Entry entry = codes.find(c.bits);
  const std::uint32_t size = entry >> 24 & 15, total = entry & 255, passed = entry >> 8 & 255;
  if (passed == HuffmanDecoder::kBad) {
    c.state |= 127U << 8;  // ends the block, as one that is too long
    return c;
  }
  std::int32_t value = 0;
  if (size != 0) {
    const std::uint64_t from_value = c.bits << (entry >> 16 & 63);
    value = static_cast<std::int32_t>(from_value >> (64 - size));
    if ((from_value >> 63) == 0) value -= (1 << size) - 1;
  }
  c.bits <<= total;
  c.state += passed << 8 | total;
  c.block[kPlaces[c.passed()]] = static_cast<std::int16_t>(value);
  c.refill();
  return c;
}

HWY_INLINE void take(Cursor& c, const AcCodes& ac) {
  const AcCodes::Entry entry = c.codes[c.bits >> (64 - AcCodes::kLookBits)];
  if (HWY_UNLIKELY(entry == 0)) {
    c = take_rare(c, ac.all());  // by value, so that it stays in registers here
    return;
  }
  const auto value = static_cast<std::int32_t>(c.bits >> (-entry & 63) & (entry >> 16 & 255));
  c.state += entry;
  c.block[kPlaces[c.passed()]] =
      static_cast<std::int16_t>(value + (static_cast<std::int32_t>(entry) >> 24));
  c.bits <<= entry & 63;
}

class RowDecoder {
 public:
  RowDecoder(const Scan& scan, ScanStream& stream) : scan_(scan), stream_(stream) {}

  bool start(const McuRow& row, std::int16_t* unwanted) {
    stream_.row = row;
    unwanted_ = unwanted;
    row_end_ = row.first + row.count;
    const std::uint64_t interval = row.first / scan_.interval;
    const bool same =
        stream_.positioned && stream_.mcu <= row.first && stream_.interval_end == end_of(interval);
    return (same || start_interval(interval)) && start_block();
  }

  // The block in `cursor` is complete; goes on to the next one. False when there is none, or the
  // data is damaged.
  bool next_block() {
    const std::uint32_t passed = stream_.state >> 8 & 255;
    if ((passed > 64 && passed < AcCodes::kEndOfBlock) || position() > stream_.end) return fail();
    if (++stream_.block_of_mcu == scan_.block_count) {
      stream_.block_of_mcu = 0;
      ++stream_.mcu;
      if (stream_.mcu == stream_.interval_end) {
        if (position() != stream_.end) return fail();
        stream_.positioned = false;
        if (stream_.mcu < row_end_ && !start_interval(stream_.mcu / scan_.interval)) return fail();
      }
      if (stream_.mcu == row_end_) return false;
    }
    return start_block();
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
  // The first byte of which no bit is taken.
  const std::uint8_t* position() const { return stream_.next - ((63 - (stream_.state & 63)) >> 3); }

  bool start_interval(std::uint64_t interval) {
    ScanStream& s = stream_;
    s.positioned = false;
    if (interval >= scan_.starts.size()) return fail();
    const std::uint32_t start = scan_.starts[interval];
    if (interval > 0 && (scan_.coded[start - 1] & 7) != (interval - 1) % 8) return fail();
    const bool last = interval + 1 >= scan_.starts.size();
    const auto coded = scan_.coded.subspan(
        start, (last ? scan_.coded.size() : scan_.starts[interval + 1] - 2) - start);
    const std::size_t room = coded.size() + std::max(kBytesAfterEnd, kUnstuffSlack);
    if (s.bytes.size() < room) s.bytes.resize(room);
    std::size_t taken = 0;
    const std::size_t size = unstuff(coded, s.bytes.data(), taken);
    if (!last && taken != coded.size()) return fail();
    std::memset(s.bytes.data() + size, 0, kBytesAfterEnd);
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

  bool start_block() {
    ScanStream& s = stream_;
    const McuBlock& place = scan_.blocks[s.block_of_mcu];
    if (s.mcu >= s.row.first) {
      const auto x = static_cast<std::uint32_t>(s.mcu - s.row.first) * place.across + place.x;
      s.block =
          s.row.tiles[s.block_of_mcu] + x / kTileBlocks * kTileCoefficients + x % kTileBlocks * 8;
    } else {
      s.block = unwanted_;
    }
    Cursor c(s);
    c.refill();
    const HuffmanDecoder::Entry entry = place.dc->find(c.bits);
    if ((entry >> 8 & 255) != 1) return fail();
    const std::uint32_t size = entry >> 24;
    const std::uint64_t from_value = c.bits << (entry >> 16 & 63);
    auto difference = static_cast<std::int32_t>(from_value >> 1 >> (63 - size));
    if ((from_value >> 63) == 0) difference -= (1 << size) - 1;
    c.bits <<= entry & 63;
    c.state = (c.state & 63) + (entry & 255);
    c.refill();
    std::int32_t& dc = s.dc[place.component];
    dc += difference;
    if (dc != static_cast<std::int16_t>(dc)) return fail();
    s.block[0] = static_cast<std::int16_t>(dc);
    c.state |= 1U << 8;
    c.store(s);
    s.codes = place.ac->entries();
    return true;
  }

  const Scan& scan_;
  ScanStream& stream_;
  std::int16_t* unwanted_ = nullptr;
  std::uint64_t row_end_ = 0;
  bool failed_ = false;
};

bool finish_row(const Scan& scan, ScanStream& stream, RowDecoder& decoder) {
  do {
    Cursor c(stream);
    const AcCodes& ac = *scan.blocks[stream.block_of_mcu].ac;
    for (;;) {
      take(c, ac);
      if (c.done()) break;
      take(c, ac);
      if (c.done()) break;
      take(c, ac);
      if (c.done()) break;
      c.refill();
    }
    c.refill();
    c.store(stream);
  } while (decoder.next_block());
  return !decoder.failed();
}

bool decode_mcu_rows_simd(const Scan& scan, std::span<const McuRow> rows,
                          std::array<ScanStream, 2>& streams) {
  UnwantedTile unwanted;
  RowDecoder first(scan, streams[0]), second(scan, streams[1]);
  if (!first.start(rows[0], unwanted.coefficients)) return false;
  if (rows.size() == 1) return finish_row(scan, streams[0], first);
  if (!second.start(rows[1], unwanted.coefficients)) return false;
  for (;;) {
    Cursor a(streams[0]), b(streams[1]);
    const AcCodes& ac_a = *scan.blocks[streams[0].block_of_mcu].ac;
    const AcCodes& ac_b = *scan.blocks[streams[1].block_of_mcu].ac;
    for (;;) {
      take(a, ac_a);
      take(b, ac_b);
      if (((a.state | b.state) & kBlockDone) != 0) break;
      take(a, ac_a);
      take(b, ac_b);
      if (((a.state | b.state) & kBlockDone) != 0) break;
      take(a, ac_a);
      take(b, ac_b);
      if (((a.state | b.state) & kBlockDone) != 0) break;
      a.refill();
      b.refill();
    }
    a.refill();
    b.refill();
    a.store(streams[0]);
    b.store(streams[1]);
    const bool a_goes_on = !a.done() || first.next_block();
    const bool b_goes_on = !b.done() || second.next_block();
    if (first.failed() || second.failed()) return false;
    if (!a_goes_on) return !b_goes_on || finish_row(scan, streams[1], second);
    if (!b_goes_on) return finish_row(scan, streams[0], first);
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
