// GIF's first frame through giflib, record by record: its DGifSlurp() would unpack all frames.
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/convert/decode_image.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

struct GifClose {
  void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
};

[[noreturn]] void fail(const std::string& reason) { throw storage::DataError("GIF: " + reason); }

[[noreturn]] void fail(int error) {
  const char* reason = GifErrorString(error);
  fail(error == D_GIF_ERR_READ_FAILED || error == D_GIF_ERR_EOF_TOO_SOON || reason == nullptr
           ? "the data ends inside the image"
           : reason);
}

int on_read(GifFileType* gif, GifByteType* out, int wanted) {
  auto& rest = *static_cast<std::span<const std::byte>*>(gif->UserData);
  const std::size_t bytes = std::min(rest.size(), static_cast<std::size_t>(std::max(wanted, 0)));
  if (bytes > 0) std::memcpy(out, rest.data(), bytes);
  rest = rest.subspan(bytes);
  return static_cast<int>(bytes);
}

// Reads up to the first frame's pixels. The transparent colour, or NO_TRANSPARENT_COLOR.
int find_frame(GifFileType& gif) {
  int transparent = NO_TRANSPARENT_COLOR;
  for (;;) {
    GifRecordType type;
    if (DGifGetRecordType(&gif, &type) == GIF_ERROR) fail(gif.Error);
    if (type == TERMINATE_RECORD_TYPE) fail("no frame");
    if (type == IMAGE_DESC_RECORD_TYPE) break;
    int code = 0;
    GifByteType* block = nullptr;  // its length, then its bytes; null after the last one
    if (DGifGetExtension(&gif, &code, &block) == GIF_ERROR) fail(gif.Error);
    GraphicsControlBlock control;
    if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr &&
        DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK) {
      transparent = control.TransparentColor;
    }
    while (block != nullptr) {
      if (DGifGetExtensionNext(&gif, &block) == GIF_ERROR) fail(gif.Error);
    }
  }
  if (DGifGetImageDesc(&gif) == GIF_ERROR) fail(gif.Error);
  return transparent;
}

using Palette = std::array<std::array<std::uint8_t, 3>, 256>;

// The frame's own colours, else the file's, else shades of grey.
Palette palette_of(const GifFileType& gif) {
  Palette palette{};
  const ColorMapObject* map = gif.Image.ColorMap != nullptr ? gif.Image.ColorMap : gif.SColorMap;
  if (map == nullptr) {
    for (std::size_t i = 0; i < palette.size(); ++i) palette[i].fill(static_cast<std::uint8_t>(i));
    return palette;
  }
  for (int i = 0; i < std::min(map->ColorCount, 256); ++i) {
    const GifColorType& colour = map->Colors[i];
    palette[static_cast<std::size_t>(i)] = {colour.Red, colour.Green, colour.Blue};
  }
  return palette;
}

void read_rows(GifFileType& gif, const Palette& palette, RgbImage& image) {
  const auto left = static_cast<std::size_t>(gif.Image.Left);
  const auto top = static_cast<std::size_t>(gif.Image.Top);
  const auto height = static_cast<std::size_t>(gif.Image.Height);
  std::vector<GifPixelType> row(static_cast<std::size_t>(gif.Image.Width));
  struct Pass {
    std::size_t first, step;
  };
  constexpr Pass kInterlaced[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};
  constexpr Pass kPlain[] = {{0, 1}};
  const auto passes = gif.Image.Interlace ? std::span<const Pass>(kInterlaced) : kPlain;
  for (const Pass& pass : passes) {
    for (std::size_t y = pass.first; y < height; y += pass.step) {
      if (DGifGetLine(&gif, row.data(), gif.Image.Width) == GIF_ERROR) fail(gif.Error);
      std::uint8_t* out = &image.pixels[((top + y) * image.width + left) * 3];
      for (const GifPixelType index : row) out = std::ranges::copy(palette[index], out).out;
    }
  }
}

}  // namespace

RgbImage decode_gif(std::span<const std::byte> file) {
  std::span<const std::byte> rest = file;
  int error = 0;
  const std::unique_ptr<GifFileType, GifClose> gif(DGifOpen(&rest, on_read, &error));
  if (gif == nullptr) fail(error);
  const int transparent = find_frame(*gif);
  const GifImageDesc& frame = gif->Image;
  if (frame.Width <= 0 || frame.Height <= 0) fail("an empty frame");
  const int width = std::max(gif->SWidth, frame.Left + frame.Width);
  const int height = std::max(gif->SHeight, frame.Top + frame.Height);
  check_image_size("GIF", static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height));

  const Palette palette = palette_of(*gif);
  RgbImage image{static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), {}};
  image.pixels.resize(std::size_t{image.width} * image.height * 3);
  const bool covered = frame.Width == width && frame.Height == height;
  if (!covered) {
    const auto& ground =
        palette[transparent == NO_TRANSPARENT_COLOR ? 0 : static_cast<std::size_t>(transparent)];
    for (auto out = image.pixels.begin(); out != image.pixels.end();) {
      out = std::ranges::copy(ground, out).out;
    }
  }
  read_rows(*gif, palette, image);
  return image;
}

}  // namespace bit::pipeline
