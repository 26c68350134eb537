// BMP: a file header of 14 bytes, an information header (12 bytes: OS/2; 40 and more: Windows),
// masks or a palette, then rows of whole 32-bit words, the lowest first unless the height is
// negative. All numbers are little-endian. ("Bitmap Storage", Microsoft's Windows GDI reference.)
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/convert/decode_image.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

[[noreturn]] void fail(const std::string& reason) { throw storage::DataError("BMP: " + reason); }

constexpr std::size_t kFileHeaderBytes = 14;
enum Compression : std::uint32_t { kRgb = 0, kRle8 = 1, kRle4 = 2, kMasks = 3, kAlphaMasks = 6 };

// Bytes of the file, read behind a check.
class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> file) : file_(file) {}
  std::uint8_t u8(std::size_t offset) const {
    if (offset >= file_.size()) fail("the data ends inside the image");
    return std::to_integer<std::uint8_t>(file_[offset]);
  }
  std::uint16_t u16(std::size_t offset) const {
    return static_cast<std::uint16_t>(u8(offset) | u8(offset + 1) << 8);
  }
  std::uint32_t u32(std::size_t offset) const {
    return u16(offset) | static_cast<std::uint32_t>(u16(offset + 2)) << 16;
  }
  std::size_t size() const { return file_.size(); }

 private:
  std::span<const std::byte> file_;
};

struct Header {
  std::uint32_t width = 0, height = 0;
  bool top_down = false;
  std::uint32_t bits = 0;  // of a pixel
  std::uint32_t compression = kRgb;
  std::uint32_t colours = 0;                // of the palette
  std::size_t palette = 0;                  // offset in the file
  std::size_t palette_entry = 4;            // bytes: blue, green, red(, unused)
  std::size_t pixels = 0;                   // offset in the file
  std::array<std::uint32_t, 3> masks = {};  // red, green, blue; of 16 and 32 bits
};

void read_core_header(const Bytes& bytes, Header& header) {
  header.width = bytes.u16(18);
  header.height = bytes.u16(20);
  header.bits = bytes.u16(24);
  header.palette = kFileHeaderBytes + 12;
  header.palette_entry = 3;
}

void read_masks(const Bytes& bytes, std::uint32_t header_bytes, Header& header) {
  const bool given = header.compression == kMasks || header.compression == kAlphaMasks;
  if (!given) {
    header.masks = header.bits == 16 ? std::array{0x7C00u, 0x03E0u, 0x001Fu}
                                     : std::array{0x00FF0000u, 0x0000FF00u, 0x000000FFu};
    return;
  }
  // After the short header or, at the same offset, a part of the longer ones.
  for (std::size_t i = 0; i < 3; ++i) header.masks[i] = bytes.u32(kFileHeaderBytes + 40 + 4 * i);
  if (header_bytes == 40) header.palette += header.compression == kMasks ? 12 : 16;
  for (const std::uint32_t mask : header.masks) {
    const std::uint32_t value = mask == 0 ? 0 : mask >> std::countr_zero(mask);
    if ((value & (value + 1)) != 0 || (header.bits == 16 && mask > 0xFFFF)) fail("a broken mask");
  }
}

void read_windows_header(const Bytes& bytes, std::uint32_t header_bytes, Header& header) {
  header.width = bytes.u32(18);
  header.height = bytes.u32(22);
  header.top_down = header.height >> 31 != 0;
  if (header.top_down) header.height = 0 - header.height;
  header.bits = bytes.u16(28);
  header.compression = bytes.u32(30);
  header.colours = bytes.u32(46);
  header.palette = kFileHeaderBytes + header_bytes;
  read_masks(bytes, header_bytes, header);
}

void check_format(const Header& header) {
  const auto is = [&](std::uint32_t bits, std::uint32_t compression) {
    return header.bits == bits && header.compression == compression;
  };
  const bool rle = is(8, kRle8) || is(4, kRle4);
  if (!(rle || is(1, kRgb) || is(4, kRgb) || is(8, kRgb) || is(16, kRgb) || is(24, kRgb) ||
        is(32, kRgb) || is(16, kMasks) || is(32, kMasks) || is(16, kAlphaMasks) ||
        is(32, kAlphaMasks))) {
    fail(std::to_string(header.bits) + " bits a pixel with compression " +
         std::to_string(header.compression) + " are not supported");
  }
  if (rle && header.top_down) fail("run lengths from the top down");
}

Header read_header(const Bytes& bytes) {
  Header header;
  header.pixels = bytes.u32(10);
  const std::uint32_t header_bytes = bytes.u32(14);
  if (header_bytes == 12) {
    read_core_header(bytes, header);
  } else if (header_bytes >= 40 && header_bytes <= 124) {
    read_windows_header(bytes, header_bytes, header);
  } else {
    fail("a header of " + std::to_string(header_bytes) + " bytes");
  }
  check_format(header);
  check_image_size("BMP", header.width, header.height);
  if (header.bits <= 8) {
    const std::uint32_t most = 1u << header.bits;
    header.colours = header.colours == 0 ? most : std::min(header.colours, most);
  }
  return header;
}

using Colour = std::array<std::uint8_t, 3>;

// Colours after the end of the palette, which is where the pixels start, are black.
std::array<Colour, 256> read_palette(const Bytes& bytes, const Header& header) {
  std::array<Colour, 256> palette{};
  const std::size_t end = std::min(header.pixels, bytes.size());
  for (std::size_t i = 0; i < header.colours; ++i) {
    const std::size_t at = header.palette + i * header.palette_entry;
    if (at + header.palette_entry > end) break;
    palette[i] = {bytes.u8(at + 2), bytes.u8(at + 1), bytes.u8(at)};
  }
  return palette;
}

// One channel of a pixel as 8 bits: 255 times its share of the mask, rounded down as Pillow does.
std::uint8_t channel(std::uint32_t pixel, std::uint32_t mask) {
  if (mask == 0) return 0;
  const int shift = std::countr_zero(mask);
  return static_cast<std::uint8_t>(std::uint64_t{(pixel & mask) >> shift} * 255 / (mask >> shift));
}

// `row`: offset in the file; the whole row was found to be there.
Colour direct_pixel(const Bytes& bytes, const Header& header, std::size_t row, std::size_t x) {
  if (header.bits == 24) {
    return {bytes.u8(row + x * 3 + 2), bytes.u8(row + x * 3 + 1), bytes.u8(row + x * 3)};
  }
  const std::uint32_t pixel = header.bits == 16 ? bytes.u16(row + x * 2) : bytes.u32(row + x * 4);
  return {channel(pixel, header.masks[0]), channel(pixel, header.masks[1]),
          channel(pixel, header.masks[2])};
}

std::size_t palette_index(const Bytes& bytes, const Header& header, std::size_t row,
                          std::size_t x) {
  const std::size_t bit = x * header.bits;
  const unsigned shift = 8 - header.bits - bit % 8;
  return bytes.u8(row + bit / 8) >> shift & ((1u << header.bits) - 1);
}

RgbImage blank(const Header& header) {
  RgbImage image{header.width, header.height, {}};
  image.pixels.resize(std::size_t{header.width} * header.height * 3);
  return image;
}

RgbImage read_plain(const Bytes& bytes, const Header& header) {
  const std::uint64_t row_bits = std::uint64_t{header.width} * header.bits;
  const std::uint64_t stride = (row_bits + 31) / 32 * 4;
  // The last row may go without its padding.
  if (header.pixels + stride * (header.height - 1) + (row_bits + 7) / 8 > bytes.size()) {
    fail("the data ends inside the image");
  }
  RgbImage image = blank(header);
  const auto palette = read_palette(bytes, header);
  std::uint8_t* out = image.pixels.data();
  for (std::uint32_t y = 0; y < header.height; ++y) {
    const std::size_t row = header.pixels + stride * (header.top_down ? y : header.height - 1 - y);
    for (std::size_t x = 0; x < header.width; ++x) {
      const Colour colour = header.bits <= 8 ? palette[palette_index(bytes, header, row, x)]
                                             : direct_pixel(bytes, header, row, x);
      out = std::ranges::copy(colour, out).out;
    }
  }
  return image;
}

// Where the next run goes, and the pixels that were jumped over: they have colour 0.
struct RunWriter {
  const std::array<Colour, 256>& palette;
  RgbImage& image;
  std::size_t x = 0, y = 0;  // y from the bottom

  bool full() const { return y >= image.height; }
  // Pixels past the end of the row have no place.
  void put(std::size_t index) {
    if (x < image.width && !full()) {
      std::ranges::copy(palette[index],
                        &image.pixels[((image.height - 1 - y) * image.width + x) * 3]);
    }
    ++x;
  }
};

RgbImage read_runs(const Bytes& bytes, const Header& header) {
  const auto palette = read_palette(bytes, header);
  RgbImage image = blank(header);
  for (auto out = image.pixels.begin(); out != image.pixels.end();) {
    out = std::ranges::copy(palette[0], out).out;
  }
  RunWriter writer{palette, image};
  std::size_t at = header.pixels;
  // Of a byte with two pixels the high half comes first.
  const auto index = [&](unsigned byte, unsigned pixel) -> std::size_t {
    if (header.bits == 8) return byte;
    return pixel % 2 == 0 ? byte >> 4 : byte & 15;
  };
  while (!writer.full()) {
    const unsigned count = bytes.u8(at), value = bytes.u8(at + 1);
    at += 2;
    if (count > 0) {  // a run; of 4 bits, of two colours in turn
      for (unsigned i = 0; i < count; ++i) writer.put(index(value, i));
    } else if (value == 0) {  // end of the row
      writer.x = 0;
      ++writer.y;
    } else if (value == 1) {  // end of the picture
      break;
    } else if (value == 2) {  // a step right and up
      writer.x += bytes.u8(at);
      writer.y += bytes.u8(at + 1);
      at += 2;
    } else {  // as many pixels as they are, filled up to 16 bits
      const unsigned per_byte = 8 / header.bits;
      for (unsigned i = 0; i < value; ++i) writer.put(index(bytes.u8(at + i / per_byte), i));
      at += ((value + per_byte - 1) / per_byte + 1) / 2 * 2;
    }
  }
  return image;
}

}  // namespace

RgbImage decode_bmp(std::span<const std::byte> file) {
  const Bytes bytes(file);
  const Header header = read_header(bytes);
  const bool runs = header.compression == kRle8 || header.compression == kRle4;
  return runs ? read_runs(bytes, header) : read_plain(bytes, header);
}

}  // namespace bit::pipeline
