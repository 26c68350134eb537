// Errors of the libraries end the test program: they are asked for nothing that may fail.
#include "tests/support/image_writers.h"

#include <gif_lib.h>
#include <png.h>
#include <webp/encode.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace bit::test {
namespace {

using Bytes = std::vector<std::byte>;

void append(Bytes& out, const std::uint8_t* data, std::size_t bytes) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  out.insert(out.end(), begin, begin + bytes);
}

void append_number(Bytes& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

void check(bool holds) {
  if (!holds) throw std::runtime_error("the image writer failed");
}

void write_to_vector(png_structp png, png_bytep data, std::size_t bytes) {
  append(*static_cast<Bytes*>(png_get_io_ptr(png)), data, bytes);
}

int png_type(PngColour colour) {
  switch (colour) {
    case PngColour::kGrey:
      return PNG_COLOR_TYPE_GRAY;
    case PngColour::kGreyAlpha:
      return PNG_COLOR_TYPE_GRAY_ALPHA;
    case PngColour::kRgb:
      return PNG_COLOR_TYPE_RGB;
    case PngColour::kRgba:
      return PNG_COLOR_TYPE_RGBA;
    case PngColour::kPalette:
      break;
  }
  return PNG_COLOR_TYPE_PALETTE;
}

void set_palette(png_structp png, png_infop info, const PngOptions& options) {
  std::vector<png_color> palette;
  for (const Rgb& rgb : options.palette) palette.push_back({rgb[0], rgb[1], rgb[2]});
  if (!palette.empty()) png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
  if (!options.transparent) return;
  const png_byte alpha = 0;
  png_color_16 colour{};
  png_set_tRNS(png, info, &alpha, 1, &colour);
}

// The samples of a row, `bits` each, the first in the highest bits.
std::vector<std::uint8_t> pack_row(std::span<const std::uint16_t> samples, int bits) {
  std::vector<std::uint8_t> row((samples.size() * static_cast<std::size_t>(bits) + 7) / 8);
  std::size_t at = 0;
  for (const std::uint16_t sample : samples) {
    for (int bit = bits - 1; bit >= 0; --bit, ++at) {
      row[at / 8] = static_cast<std::uint8_t>(row[at / 8] | ((sample >> bit & 1) << (7 - at % 8)));
    }
  }
  return row;
}

ColorMapObject* gif_colours(const std::vector<Rgb>& palette) {
  std::vector<GifColorType> colours;
  for (const Rgb& rgb : palette) colours.push_back({rgb[0], rgb[1], rgb[2]});
  return GifMakeMapObject(static_cast<int>(colours.size()), colours.data());
}

int write_gif_bytes(GifFileType* gif, const GifByteType* data, int bytes) {
  append(*static_cast<Bytes*>(gif->UserData), data, static_cast<std::size_t>(bytes));
  return bytes;
}

void write_frame(GifFileType* gif, std::span<const std::uint8_t> indices, int width, int height,
                 const GifOptions& options) {
  if (options.transparent) {
    const GraphicsControlBlock control{.DisposalMode = DISPOSAL_UNSPECIFIED,
                                       .UserInputFlag = false,
                                       .DelayTime = 0,
                                       .TransparentColor = *options.transparent};
    GifByteType block[4];
    EGifGCBToExtension(&control, block);
    check(EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, block) == GIF_OK);
  }
  ColorMapObject* local = options.local_palette ? gif_colours(options.palette) : nullptr;
  check(EGifPutImageDesc(gif, options.left, options.top, width, height, options.interlaced,
                         local) == GIF_OK);
  GifFreeMapObject(local);
  std::vector<int> order;
  const std::vector<std::array<int, 2>> passes =
      options.interlaced ? std::vector<std::array<int, 2>>{{0, 8}, {4, 8}, {2, 4}, {1, 2}}
                         : std::vector<std::array<int, 2>>{{0, 1}};
  for (const auto& [first, step] : passes) {
    for (int y = first; y < height; y += step) order.push_back(y);
  }
  for (const int y : order) {
    std::vector<GifPixelType> row(indices.begin() + y * width, indices.begin() + (y + 1) * width);
    check(EGifPutLine(gif, row.data(), width) == GIF_OK);
  }
}

}  // namespace

Bytes write_png(std::span<const std::uint16_t> samples, std::uint32_t width, std::uint32_t height,
                const PngOptions& options) {
  Bytes out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  if (setjmp(png_jmpbuf(png)) != 0) std::abort();
  png_set_write_fn(png, &out, write_to_vector, [](png_structp) {});
  png_set_IHDR(png, info, width, height, options.bits, png_type(options.colour),
               options.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
  set_palette(png, info, options);
  png_write_info(png, info);
  std::vector<std::vector<std::uint8_t>> rows;
  std::vector<png_bytep> pointers;
  const std::size_t row_samples = samples.size() / height;
  for (std::uint32_t y = 0; y < height; ++y) {
    rows.push_back(pack_row(samples.subspan(y * row_samples, row_samples), options.bits));
  }
  for (auto& row : rows) pointers.push_back(row.data());
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

Bytes write_webp(std::span<const std::uint8_t> pixels, std::uint32_t width, std::uint32_t height,
                 bool lossless) {
  WebPConfig config;
  WebPPicture picture;
  check(WebPConfigInit(&config) != 0 && WebPPictureInit(&picture) != 0);
  config.lossless = lossless ? 1 : 0;
  config.exact = 1;
  config.quality = 95;
  picture.use_argb = lossless ? 1 : 0;
  picture.width = static_cast<int>(width);
  picture.height = static_cast<int>(height);
  const std::size_t channels = pixels.size() / width / height;
  const int stride = static_cast<int>(width * channels);
  check((channels == 4 ? WebPPictureImportRGBA : WebPPictureImportRGB)(&picture, pixels.data(),
                                                                       stride) != 0);
  Bytes out;
  picture.custom_ptr = &out;
  picture.writer = [](const std::uint8_t* data, std::size_t bytes, const WebPPicture* to) {
    append(*static_cast<Bytes*>(to->custom_ptr), data, bytes);
    return 1;
  };
  check(WebPEncode(&config, &picture) != 0);
  WebPPictureFree(&picture);
  return out;
}

Bytes write_gif(std::span<const std::uint8_t> indices, int width, int height,
                const GifOptions& options) {
  Bytes out;
  int error = 0;
  GifFileType* gif = EGifOpen(&out, write_gif_bytes, &error);
  check(gif != nullptr);
  EGifSetGifVersion(gif, true);
  const std::vector<Rgb> blue(options.palette.size(), Rgb{0, 0, 255});
  ColorMapObject* colours = gif_colours(options.local_palette ? blue : options.palette);
  check(EGifPutScreenDesc(gif, std::max(options.canvas_width, width),
                          std::max(options.canvas_height, height), 8, 0, colours) == GIF_OK);
  GifFreeMapObject(colours);
  write_frame(gif, indices, width, height, options);
  write_frame(gif, std::vector<std::uint8_t>(indices.size()), width, height, options);
  check(EGifCloseFile(gif, &error) == GIF_OK);
  return out;
}

Bytes write_bmp(std::span<const std::uint8_t> data, int width, int height,
                const BmpOptions& options) {
  const std::size_t header = options.os2 ? 12 : 40;
  const std::size_t entry = options.os2 ? 3 : 4;
  const std::size_t pixels =
      14 + header + options.masks.size() * 4 + options.palette.size() * entry;
  Bytes out = {std::byte{'B'}, std::byte{'M'}};
  append_number(out, static_cast<std::uint32_t>(pixels + data.size()), 4);
  append_number(out, 0, 4);
  append_number(out, static_cast<std::uint32_t>(pixels), 4);
  append_number(out, static_cast<std::uint32_t>(header), 4);
  const int size_bytes = options.os2 ? 2 : 4;
  append_number(out, static_cast<std::uint32_t>(width), size_bytes);
  append_number(out, static_cast<std::uint32_t>(options.top_down ? -height : height), size_bytes);
  append_number(out, 1, 2);
  append_number(out, static_cast<std::uint32_t>(options.bits), 2);
  if (!options.os2) {
    append_number(out, options.compression, 4);
    append_number(out, static_cast<std::uint32_t>(data.size()), 4);
    append_number(out, 2835, 4);  // pixels a metre
    append_number(out, 2835, 4);
    append_number(out, static_cast<std::uint32_t>(options.palette.size()), 4);
    append_number(out, 0, 4);
  }
  for (const std::uint32_t mask : options.masks) append_number(out, mask, 4);
  for (const Rgb& rgb : options.palette) {
    for (const int c : {2, 1, 0}) append_number(out, rgb[static_cast<std::size_t>(c)], 1);
    if (!options.os2) append_number(out, 0, 1);
  }
  append(out, data.data(), data.size());
  return out;
}

}  // namespace bit::test
