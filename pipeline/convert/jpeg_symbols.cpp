// Two passes: the first turns the coded data into tokens, a symbol with its extra bits, and counts
// the symbols; the second writes the tokens with the tables made from the counts. AC symbols go
// through as they are; DC differences are taken anew, for they start from 0 at each restart.
#include "pipeline/convert/jpeg_symbols.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <utility>

#include "pipeline/jpeg/entropy.h"
#include "pipeline/jpeg/header.h"
#include "pipeline/jpeg/huffman.h"

namespace bit::pipeline {
namespace {

constexpr std::size_t kMaxTokensOfMcu = 10 * 64;
constexpr std::uint32_t kZeroRun = 0xF0;  // the symbol for 16 zeros
constexpr std::size_t kTables = 4;        // of the output: DC and AC of table 0, of table 1

// Bits 24..25: the table of the output; 16..23: the symbol; 0..15: its extra bits.
using Token = std::uint32_t;
using Counts = std::array<std::uint32_t, kTables * 256>;  // by the upper bits of a token

// How a token is written.
struct Code {
  std::uint32_t bits = 0;   // with zeros in place of the extra bits
  std::uint32_t count = 0;  // of bits, the extra ones included, at most 27
};
using Codes = std::array<Code, kTables * 256>;

constexpr std::uint32_t table_bits(std::size_t table) {
  return static_cast<std::uint32_t>(table) << 24;
}

// Tokens, and room for more. Grows as they come: a header can promise more than the data holds.
class TokenBuffer {
 public:
  explicit TokenBuffer(std::size_t capacity)
      : tokens_(std::make_unique_for_overwrite<Token[]>(capacity)), capacity_(capacity) {}

  // A place for `count` more, good until the next call.
  Token* reserve(std::size_t count) {
    if (capacity_ - size_ < count) grow(count);
    return tokens_.get() + size_;
  }
  void set_end(const Token* end) { size_ = static_cast<std::size_t>(end - tokens_.get()); }
  std::size_t size() const { return size_; }
  const Token* data() const { return tokens_.get(); }

 private:
  void grow(std::size_t count) {
    capacity_ += std::max(capacity_, count);
    auto larger = std::make_unique_for_overwrite<Token[]>(capacity_);
    std::copy_n(tokens_.get(), size_, larger.get());
    tokens_ = std::move(larger);
  }

  std::unique_ptr<Token[]> tokens_;
  std::size_t size_ = 0, capacity_;
};

// A block of an MCU.
struct BlockPlace {
  std::size_t component;
  bool beyond_right, beyond_bottom;  // in the last MCU of a row, of a column: no pixel is in it
};

struct Component {
  const HuffmanDecoder *dc_decoder, *ac_decoder;
  std::uint32_t dc_table, ac_table;  // table_bits() of the output
  int dc = 0;                        // of the last block read
  int written_dc = 0;                // of the last block of this restart interval of the output
};

std::uint32_t ceil_div(std::uint32_t a, std::uint32_t b) { return (a + b - 1) / b; }

// The extra bits of the symbol at the top of `bits`.
std::uint32_t extra_bits(std::uint64_t bits, HuffmanDecoder::Entry entry) {
  const std::uint32_t size = entry >> 24 & 15;
  return static_cast<std::uint32_t>(bits << (entry >> 16 & 63) >> 1 >> (63 - size));
}

// T.81 table F.1: a difference as its size and extra bits. `size` of at most 31.
Token dc_token(std::uint32_t table, int difference) {
  const auto magnitude = static_cast<std::uint32_t>(std::abs(difference));
  const auto size = static_cast<std::uint32_t>(std::bit_width(magnitude));
  const auto bits = static_cast<std::uint32_t>(difference < 0 ? difference - 1 : difference);
  return table | size << 16 | (bits & ((1u << size) - 1));
}

// The difference that `size` extra bits stand for.
int dc_difference(std::uint32_t extra, std::uint32_t size) {
  if (size == 0) return 0;
  const auto value = static_cast<int>(extra);
  return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
}

class SymbolTranscoder {
 public:
  SymbolTranscoder(const JpegHeader& header, const TranscodeOptions& options,
                   std::size_t file_size);

  // Each false or nothing when libjpeg is to judge the file.
  bool prepare();
  bool read(std::span<const std::byte> coded);
  std::optional<std::vector<std::byte>> write() const;

 private:
  // Past the tokens of a block, the first of which is left to the caller; nullptr when bad.
  static Token* read_block(BitReader& reader, const Component& component, Token* out,
                           Counts& counts, int& difference);
  bool read_mcu(BitReader& reader, bool right, bool bottom);
  void begin_written_interval();
  // The tables for counts_, in `header` and by the upper bits of a token.
  bool make_codes(JpegHeader& header, Codes& codes) const;
  EntropyCoded code_tokens(const Codes& codes) const;
  // For a table of the source; nullptr when the table is not valid.
  const HuffmanDecoder* decoder(HuffmanDecoder::Kind kind, std::size_t table);

  const JpegHeader& header_;
  std::array<std::optional<HuffmanDecoder>, 4> dc_decoders_, ac_decoders_;  // components share them
  std::vector<Component> components_;
  std::vector<BlockPlace> places_;        // of an MCU
  std::uint32_t columns_ = 0, rows_ = 0;  // of MCUs
  std::uint32_t written_interval_ = 0;    // MCUs between restarts of the output; 0: none
  TokenBuffer tokens_;
  std::vector<std::size_t> interval_ends_;  // in tokens_
  Counts counts_{};
  Counts ignored_{};  // of blocks that no pixel is in
};

SymbolTranscoder::SymbolTranscoder(const JpegHeader& header, const TranscodeOptions& options,
                                   std::size_t file_size)
    : header_(header), tokens_(2 * file_size + kMaxTokensOfMcu) {
  const bool single = header.components.size() == 1;  // coded block by block
  std::uint32_t max_horizontal = 1, max_vertical = 1;
  for (const JpegComponent& component : header.components) {
    if (single) break;
    max_horizontal = std::max<std::uint32_t>(max_horizontal, component.horizontal);
    max_vertical = std::max<std::uint32_t>(max_vertical, component.vertical);
  }
  columns_ = ceil_div(header.width, 8 * max_horizontal);
  rows_ = ceil_div(header.height, 8 * max_vertical);
  if (options.restart_intervals) written_interval_ = kRestartInterval;
  for (std::size_t c = 0; c < header.components.size(); ++c) {
    const std::uint32_t horizontal = single ? 1 : header.components[c].horizontal;
    const std::uint32_t vertical = single ? 1 : header.components[c].vertical;
    // Blocks with pixels in them in the last column and row of MCUs.
    const std::uint32_t last_width =
        (ceil_div(header.width * horizontal, 8 * max_horizontal) - 1) % horizontal + 1;
    const std::uint32_t last_height =
        (ceil_div(header.height * vertical, 8 * max_vertical) - 1) % vertical + 1;
    for (std::uint32_t y = 0; y < vertical; ++y) {
      for (std::uint32_t x = 0; x < horizontal; ++x) {
        places_.push_back({c, x >= last_width, y >= last_height});
      }
    }
  }
}

const HuffmanDecoder* SymbolTranscoder::decoder(HuffmanDecoder::Kind kind, std::size_t table) {
  const bool dc = kind == HuffmanDecoder::Kind::kDc;
  auto& made = (dc ? dc_decoders_ : ac_decoders_)[table];
  if (made) return &*made;
  if (!made.emplace().assign(*(dc ? header_.dc : header_.ac)[table], kind)) return nullptr;
  return &*made;
}

bool SymbolTranscoder::prepare() {
  const JpegColors colors = jpeg_colors(header_);
  const bool chroma = colors == JpegColors::kYcc || colors == JpegColors::kYcck;
  components_.resize(header_.components.size());
  for (std::size_t c = 0; c < components_.size(); ++c) {
    const JpegComponent& source = header_.components[c];
    Component& component = components_[c];
    const std::size_t table = chroma && (c == 1 || c == 2) ? 2 : 0;
    component.dc_table = table_bits(table);
    component.ac_table = table_bits(table + 1);
    component.dc_decoder = decoder(HuffmanDecoder::Kind::kDc, source.dc);
    component.ac_decoder = decoder(HuffmanDecoder::Kind::kAc, source.ac);
    if (component.dc_decoder == nullptr || component.ac_decoder == nullptr) return false;
  }
  return true;
}

Token* SymbolTranscoder::read_block(BitReader& reader_state, const Component& component, Token* out,
                                    Counts& counts, int& difference) {
  BitReader reader = reader_state;  // in registers
  reader.refill();
  const auto dc = component.dc_decoder->find(reader.bits());
  if ((dc >> 8 & 255) != 1) return nullptr;
  difference = dc_difference(extra_bits(reader.bits(), dc), dc >> 24);
  reader.skip(dc & 255);
  const Token* const first = ++out;

  std::uint32_t k = 1;  // of the next coefficient, in zigzag order
  const auto next_symbol = [&] {
    const auto entry = component.ac_decoder->find(reader.bits());
    const Token token =
        component.ac_table | (entry >> 8 & 0xFF0000) | extra_bits(reader.bits(), entry);
    reader.skip(entry & 255);
    *out++ = token;
    ++counts[token >> 16];
    k += entry >> 8 & 255;
    return k < 64;
  };
  // A refill lasts for two symbols.
  while (next_symbol()) {
    reader.refill();
    if (!next_symbol()) break;
  }
  reader_state = reader;
  const auto is_zero_run = [](Token token) { return (token >> 16 & 255) == kZeroRun; };
  if (k == 64) return is_zero_run(out[-1]) ? nullptr : out;
  if (k < HuffmanDecoder::kEndOfBlock) return nullptr;  // beyond the block, or no symbol
  // Zeros before the end of a block need no symbol; an encoder that wrote one is rare.
  return out - first >= 2 && is_zero_run(out[-2]) ? nullptr : out;
}

bool SymbolTranscoder::read_mcu(BitReader& reader, bool right, bool bottom) {
  Token* out = tokens_.reserve(kMaxTokensOfMcu);
  for (const BlockPlace& place : places_) {
    Component& component = components_[place.component];
    const bool unseen = (right && place.beyond_right) || (bottom && place.beyond_bottom);
    int difference = 0;
    Token* end = read_block(reader, component, out, unseen ? ignored_ : counts_, difference);
    if (end == nullptr) return false;
    component.dc += difference;
    if (component.dc != static_cast<std::int16_t>(component.dc)) return false;
    if (unseen) {  // becomes flat, as libjpeg has it
      end = out + 1;
      *end++ = component.ac_table;
      ++counts_[component.ac_table >> 16];
    } else {
      difference = component.dc - component.written_dc;
      component.written_dc = component.dc;
    }
    *out = dc_token(component.dc_table, unseen ? 0 : difference);
    const std::uint32_t index = *out >> 16;
    if ((index & 255) > 11) return false;  // not for a baseline file
    ++counts_[index];
    out = end;
  }
  tokens_.set_end(out);
  return true;
}

void SymbolTranscoder::begin_written_interval() {
  if (tokens_.size() > 0) interval_ends_.push_back(tokens_.size());
  for (Component& component : components_) component.written_dc = 0;
}

bool SymbolTranscoder::read(std::span<const std::byte> coded) {
  const std::uint64_t mcus = std::uint64_t{columns_} * rows_;
  const std::uint64_t interval = header_.restart_interval == 0 ? mcus : header_.restart_interval;
  const auto source = take_entropy_coded(coded, (mcus + interval - 1) / interval);
  if (!source) return false;
  BitReader reader(source->bytes.get());
  const std::uint8_t* end = nullptr;
  std::uint64_t mcu = 0;
  for (std::uint32_t row = 0; row < rows_; ++row) {
    for (std::uint32_t column = 0; column < columns_; ++column, ++mcu) {
      if (mcu % interval == 0) {
        if (end != nullptr && reader.position() != end) return false;
        const std::size_t index = mcu / interval;
        reader = BitReader(source->bytes.get() + (index == 0 ? 0 : source->ends[index - 1]));
        end = source->bytes.get() + source->ends[index];
        for (Component& component : components_) component.dc = 0;
      }
      if (written_interval_ != 0 && mcu % written_interval_ == 0) begin_written_interval();
      if (!read_mcu(reader, column + 1 == columns_, row + 1 == rows_)) return false;
      if (reader.position() > end) return false;
    }
  }
  interval_ends_.push_back(tokens_.size());
  return reader.position() == end;
}

bool SymbolTranscoder::make_codes(JpegHeader& header, Codes& codes) const {
  header.dc = header.ac = {};
  for (std::size_t table = 0; table < kTables; ++table) {
    const auto optimal =
        optimal_huffman_table(std::span(counts_).subspan(table * 256).first<256>());
    if (!optimal) return false;
    const auto symbol_codes = huffman_codes(*optimal);
    if (!symbol_codes) return false;
    (table % 2 == 0 ? header.dc : header.ac)[table / 2] = *optimal;
    for (std::uint32_t symbol = 0; symbol < 256; ++symbol) {
      const HuffmanCode code = (*symbol_codes)[symbol];
      const std::uint32_t extra = symbol & 15;
      codes[table * 256 + symbol] = {std::uint32_t{code.bits} << extra, code.length + extra};
    }
  }
  for (std::size_t c = 0; c < components_.size(); ++c) {
    header.components[c].dc = header.components[c].ac =
        static_cast<std::uint8_t>(components_[c].dc_table / table_bits(2));
  }
  return true;
}

EntropyCoded SymbolTranscoder::code_tokens(const Codes& codes) const {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) bits += counts_[i] * codes[i].count;
  const std::size_t bytes = bits / 8 + interval_ends_.size();  // each interval fills its last byte
  EntropyCoded target{std::make_unique_for_overwrite<std::uint8_t[]>(bytes + BitWriter::kPadding),
                      {}};
  std::uint8_t* next = target.bytes.get();
  const Token* token = tokens_.data();
  for (const std::size_t interval_end : interval_ends_) {
    const Token* const end = tokens_.data() + interval_end;
    BitWriter writer(next);
    for (; end - token >= 2; token += 2) {
      const Code first = codes[token[0] >> 16], second = codes[token[1] >> 16];
      const std::uint64_t first_bits = first.bits | (token[0] & 0xFFFF);
      const std::uint64_t second_bits = second.bits | (token[1] & 0xFFFF);
      writer.put(first_bits << second.count | second_bits, first.count + second.count);
    }
    if (token != end) {
      const Code code = codes[*token >> 16];
      writer.put(code.bits | (*token & 0xFFFF), code.count);
      ++token;
    }
    next = writer.finish();
    target.ends.push_back(static_cast<std::size_t>(next - target.bytes.get()));
  }
  return target;
}

std::optional<std::vector<std::byte>> SymbolTranscoder::write() const {
  JpegHeader header = header_;
  header.restart_interval = written_interval_;
  Codes codes;
  if (!make_codes(header, codes)) return std::nullopt;
  std::vector<std::byte> out;
  write_jpeg_header(header, out);
  put_entropy_coded(code_tokens(codes), out);
  return out;
}

}  // namespace

std::optional<std::vector<std::byte>> transcode_symbols(std::span<const std::byte> file,
                                                        const TranscodeOptions& options) {
  JpegHeader header;
  if (!read_jpeg_header(file, header)) return std::nullopt;
  const auto coded = file.subspan(header.size);
  SymbolTranscoder transcoder(header, options, coded.size());
  if (!transcoder.prepare() || !transcoder.read(coded)) return std::nullopt;
  return transcoder.write();
}

}  // namespace bit::pipeline
