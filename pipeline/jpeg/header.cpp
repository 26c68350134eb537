#include "pipeline/jpeg/header.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace bit::pipeline {
namespace {

// Marker codes, ITU-T T.81 table B.1.
enum Marker : std::uint8_t {
  kSof0 = 0xC0,
  kSof1 = 0xC1,
  kDht = 0xC4,
  kSoi = 0xD8,
  kSos = 0xDA,
  kDqt = 0xDB,
  kDri = 0xDD,
  kApp0 = 0xE0,
  kApp14 = 0xEE,
  kApp15 = 0xEF,
  kCom = 0xFE,
};

constexpr std::uint32_t kMaxSide = 65500;  // of libjpeg
constexpr std::uint32_t kMaxBlocksInMcu = 10;

// The rest of a segment. Reading past its end gives zeros and is remembered.
class Segment {
 public:
  explicit Segment(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint8_t byte() {
    if (bytes_.empty()) {
      overrun_ = true;
      return 0;
    }
    const auto value = std::to_integer<std::uint8_t>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::uint16_t word() {
    const std::uint32_t high = byte();
    return static_cast<std::uint16_t>(high << 8 | byte());
  }
  // The name with its terminating zero; read only when it is there.
  bool starts_with(std::string_view name) {
    if (bytes_.size() <= name.size()) return false;
    const auto same = [](char a, std::byte b) { return a == std::to_integer<char>(b); };
    if (!std::equal(name.begin(), name.end(), bytes_.begin(), same)) return false;
    bytes_ = bytes_.subspan(name.size());
    return true;
  }
  std::size_t left() const { return bytes_.size(); }
  // Whole, and nothing asked for that was not there.
  bool finished() const { return bytes_.empty() && !overrun_; }

 private:
  std::span<const std::byte> bytes_;
  bool overrun_ = false;
};

bool read_quantization(Segment segment, JpegHeader& header) {
  while (segment.left() > 0) {
    const std::uint8_t index = segment.byte();  // high half: 16-bit values
    if (index >= header.quantization.size()) return false;
    auto& table = header.quantization[index].emplace();
    for (auto& value : table) value = segment.byte();
  }
  return segment.finished();
}

bool read_huffman(Segment segment, JpegHeader& header) {
  while (segment.left() > 0) {
    const std::uint8_t index = segment.byte();
    const bool is_ac = (index & 0x10) != 0;
    if ((index & ~0x10) >= 4) return false;
    auto& table = (is_ac ? header.ac : header.dc)[index & 3].emplace();
    std::size_t symbols = 0;
    for (std::size_t length = 1; length <= 16; ++length) {
      symbols += table.counts[length] = segment.byte();
    }
    if (symbols > table.symbols.size() || symbols > segment.left()) return false;
    for (std::size_t i = 0; i < symbols; ++i) table.symbols[i] = segment.byte();
  }
  return segment.finished();
}

bool read_frame(Segment segment, JpegHeader& header) {
  if (!header.components.empty() || segment.byte() != 8) return false;
  header.height = segment.word();
  header.width = segment.word();
  const std::size_t count = segment.byte();
  if (header.width == 0 || header.height == 0 || header.width > kMaxSide ||
      header.height > kMaxSide || std::uint64_t{header.width} * header.height > kMaxJpegPixels ||
      (count != 1 && count != 3 && count != 4)) {
    return false;
  }
  std::uint32_t blocks = 0;
  for (std::size_t i = 0; i < count; ++i) {
    JpegComponent component;
    component.id = segment.byte();
    const std::uint8_t sampling = segment.byte();
    component.horizontal = sampling >> 4;
    component.vertical = sampling & 15;
    component.quantization = segment.byte();
    if (component.horizontal < 1 || component.horizontal > 4 || component.vertical < 1 ||
        component.vertical > 4 || component.quantization >= header.quantization.size()) {
      return false;
    }
    for (const JpegComponent& other : header.components) {
      if (other.id == component.id) return false;
    }
    blocks += std::uint32_t{component.horizontal} * component.vertical;
    header.components.push_back(component);
  }
  return segment.finished() && (count == 1 || blocks <= kMaxBlocksInMcu);
}

bool read_scan(Segment segment, JpegHeader& header) {
  if (header.components.empty() || segment.byte() != header.components.size()) return false;
  for (JpegComponent& component : header.components) {
    if (segment.byte() != component.id) return false;
    const std::uint8_t tables = segment.byte();
    component.dc = tables >> 4;
    component.ac = tables & 15;
    if (component.dc >= 4 || component.ac >= 4 || !header.dc[component.dc] ||
        !header.ac[component.ac] || !header.quantization[component.quantization]) {
      return false;
    }
  }
  const bool sequential = segment.byte() == 0 && segment.byte() == 63 && segment.byte() == 0;
  return sequential && segment.finished();
}

void read_jfif(Segment segment, JpegHeader& header) {
  if (segment.left() < 14 || !segment.starts_with(std::string_view("JFIF\0", 5))) return;
  JfifMarker& jfif = header.jfif.emplace();
  jfif.major = segment.byte();
  jfif.minor = segment.byte();
  jfif.unit = segment.byte();
  jfif.x_density = segment.word();
  jfif.y_density = segment.word();
}

void read_adobe(Segment segment, JpegHeader& header) {
  if (segment.left() < 12 || !segment.starts_with("Adobe")) return;
  for (int i = 0; i < 6; ++i) segment.byte();  // version and flags
  header.adobe = segment.byte();
}

bool read_segment(std::uint8_t marker, Segment segment, JpegHeader& header) {
  switch (marker) {
    case kSof0:
    case kSof1:
      return read_frame(segment, header);
    case kDht:
      return read_huffman(segment, header);
    case kDqt:
      return read_quantization(segment, header);
    case kSos:
      return read_scan(segment, header);
    case kDri:
      header.restart_interval = segment.word();
      return segment.finished();
    case kApp0:
      read_jfif(segment, header);
      return true;
    case kApp14:
      read_adobe(segment, header);
      return true;
    default:
      return (marker > kApp0 && marker <= kApp15) || marker == kCom;
  }
}

// As new, but for the memory it has.
void clear(JpegHeader& header) {
  std::vector<JpegComponent> components = std::move(header.components);
  components.clear();
  header = {};
  header.components = std::move(components);
}

void put(std::vector<std::byte>& out, std::uint32_t byte) {
  out.push_back(static_cast<std::byte>(byte));
}

void put_word(std::vector<std::byte>& out, std::uint32_t word) {
  put(out, word >> 8);
  put(out, word & 255);
}

void put_text(std::vector<std::byte>& out, std::string_view text) {
  for (const char letter : text) out.push_back(static_cast<std::byte>(letter));
}

// `payload` bytes follow.
void put_segment(std::vector<std::byte>& out, Marker marker, std::size_t payload) {
  put(out, 0xFF);
  put(out, marker);
  put_word(out, static_cast<std::uint32_t>(payload + 2));
}

void put_jfif(std::vector<std::byte>& out, const JpegHeader& header) {
  JfifMarker jfif = header.jfif.value_or(JfifMarker{});
  if (jfif.major != 1) jfif.major = jfif.minor = 1;
  put_segment(out, kApp0, 14);
  put_text(out, std::string_view("JFIF\0", 5));
  put(out, jfif.major);
  put(out, jfif.minor);
  put(out, jfif.unit);
  put_word(out, jfif.x_density);
  put_word(out, jfif.y_density);
  put_word(out, 0);  // a thumbnail of 0 x 0
}

void put_adobe(std::vector<std::byte>& out, JpegColors colors) {
  put_segment(out, kApp14, 12);
  put_text(out, "Adobe");
  put_word(out, 100);  // version
  put_word(out, 0);
  put_word(out, 0);
  put(out, colors == JpegColors::kYcck ? 2 : 0);
}

void put_frame(std::vector<std::byte>& out, const JpegHeader& header) {
  std::array<bool, 4> written{};
  for (const JpegComponent& component : header.components) {
    if (std::exchange(written[component.quantization], true)) continue;
    put_segment(out, kDqt, 65);
    put(out, component.quantization);
    for (const std::uint8_t value : *header.quantization[component.quantization]) put(out, value);
  }
  put_segment(out, kSof0, 6 + 3 * header.components.size());
  put(out, 8);  // bits a sample
  put_word(out, header.height);
  put_word(out, header.width);
  put(out, static_cast<std::uint32_t>(header.components.size()));
  for (const JpegComponent& component : header.components) {
    put(out, component.id);
    put(out, std::uint32_t{component.horizontal} << 4 | component.vertical);
    put(out, component.quantization);
  }
}

void put_huffman(std::vector<std::byte>& out, std::uint32_t index, const HuffmanTable& table) {
  std::size_t symbols = 0;
  for (std::size_t length = 1; length <= 16; ++length) symbols += table.counts[length];
  put_segment(out, kDht, 17 + symbols);
  put(out, index);
  for (std::size_t length = 1; length <= 16; ++length) put(out, table.counts[length]);
  for (std::size_t i = 0; i < symbols; ++i) put(out, table.symbols[i]);
}

}  // namespace

bool read_jpeg_header(std::span<const std::byte> file, JpegHeader& header) {
  const auto at = [&](std::size_t i) { return std::to_integer<std::uint8_t>(file[i]); };
  if (file.size() < 2 || at(0) != 0xFF || at(1) != kSoi) return false;
  clear(header);
  std::size_t next = 2;
  for (;;) {
    // Segments may be padded before their marker, with 0xFF and, as libjpeg has it, anything.
    while (next < file.size() && at(next) != 0xFF) ++next;
    while (next < file.size() && at(next) == 0xFF) ++next;
    if (next + 3 > file.size()) return false;
    const std::uint8_t marker = at(next++);
    if (marker == 0) continue;  // no marker: a byte 0xFF of coded data
    const std::size_t length = std::size_t{at(next)} << 8 | at(next + 1);
    if (length < 2 || length > file.size() - next) return false;
    if (!read_segment(marker, Segment(file.subspan(next + 2, length - 2)), header)) return false;
    next += length;
    if (marker != kSos) continue;
    header.size = next;
    return true;
  }
}

JpegColors jpeg_colors(const JpegHeader& header) {
  const auto& components = header.components;
  if (components.size() == 1) return JpegColors::kGrey;
  if (components.size() == 4) {
    return header.adobe.value_or(0) == 0 ? JpegColors::kCmyk : JpegColors::kYcck;
  }
  if (header.jfif) return JpegColors::kYcc;
  if (header.adobe) return *header.adobe == 0 ? JpegColors::kRgb : JpegColors::kYcc;
  const bool named = components[0].id == 'R' && components[1].id == 'G' && components[2].id == 'B';
  return named ? JpegColors::kRgb : JpegColors::kYcc;
}

void write_jpeg_header(const JpegHeader& header, std::vector<std::byte>& out) {
  const JpegColors colors = jpeg_colors(header);
  put(out, 0xFF);
  put(out, kSoi);
  if (colors == JpegColors::kGrey || colors == JpegColors::kYcc) {
    put_jfif(out, header);
  } else if (colors == JpegColors::kRgb || header.adobe) {
    put_adobe(out, colors);
  }
  put_frame(out, header);
  std::array<bool, 4> written_dc{}, written_ac{};
  for (const JpegComponent& component : header.components) {
    if (!std::exchange(written_dc[component.dc], true)) {
      put_huffman(out, component.dc, *header.dc[component.dc]);
    }
    if (!std::exchange(written_ac[component.ac], true)) {
      put_huffman(out, 0x10u | component.ac, *header.ac[component.ac]);
    }
  }
  if (header.restart_interval != 0) {
    put_segment(out, kDri, 2);
    put_word(out, header.restart_interval);
  }
  put_segment(out, kSos, 4 + 2 * header.components.size());
  put(out, static_cast<std::uint32_t>(header.components.size()));
  for (const JpegComponent& component : header.components) {
    put(out, component.id);
    put(out, std::uint32_t{component.dc} << 4 | component.ac);
  }
  put(out, 0);  // all 64 coefficients
  put(out, 63);
  put(out, 0);  // at full precision
}

}  // namespace bit::pipeline
