// PNG through libpng. Its errors leave by longjmp, so every call into it sits in a small member of
// PngSession that holds no object with a destructor and answers with a bool.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>

#include "pipeline/convert/decode_image.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

// Deflate cannot do better than this (zlib's technical notes).
constexpr std::uint64_t kMaxCompression = 1032;

struct PngSession {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::span<const std::byte> rest;
  std::jmp_buf failed{};
  char reason[128] = "out of memory";

  PngSession() = default;
  ~PngSession() { png_destroy_read_struct(&png, &info, nullptr); }
  PngSession(const PngSession&) = delete;
  PngSession& operator=(const PngSession&) = delete;

  // False: `reason` says why. To be called in this order.
  bool open(std::span<const std::byte> file);
  bool start();
  bool read(std::uint8_t* pixels, std::size_t row_bytes);
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* session = static_cast<PngSession*>(png_get_error_ptr(png));
  std::snprintf(session->reason, sizeof session->reason, "%s", message);
  std::longjmp(session->failed, 1);
}

void on_warning(png_structp, png_const_charp) {}  // about chunks that do not make the picture

void on_read(png_structp png, png_bytep out, std::size_t bytes) {
  auto& rest = static_cast<PngSession*>(png_get_io_ptr(png))->rest;
  if (bytes > rest.size()) png_error(png, "the data ends inside the image");
  std::memcpy(out, rest.data(), bytes);
  rest = rest.subspan(bytes);
}

bool PngSession::open(std::span<const std::byte> file) {
  rest = file;
  png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
  if (png == nullptr) return false;
  if (setjmp(failed) != 0) return false;
  info = png_create_info_struct(png);
  if (info == nullptr) return false;
  png_set_read_fn(png, this, on_read);
  // What does not make the picture is not even unpacked.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(png, info);
  return true;
}

bool PngSession::start() {
  if (setjmp(failed) != 0) return false;
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  return true;
}

bool PngSession::read(std::uint8_t* pixels, std::size_t row_bytes) {
  if (setjmp(failed) != 0) return false;
  const std::uint32_t height = png_get_image_height(png, info);
  const int passes = png_get_interlace_type(png, info) == PNG_INTERLACE_ADAM7 ? 7 : 1;
  for (int pass = 0; pass < passes; ++pass) {
    for (std::uint32_t y = 0; y < height; ++y) {
      png_read_row(png, pixels + y * row_bytes, nullptr);
    }
  }
  png_read_end(png, nullptr);
  return true;
}

[[noreturn]] void fail(const std::string& reason) { throw storage::DataError("PNG: " + reason); }

}  // namespace

RgbImage decode_png(std::span<const std::byte> file) {
  PngSession session;
  if (!session.open(file)) fail(session.reason);
  RgbImage image{png_get_image_width(session.png, session.info),
                 png_get_image_height(session.png, session.info),
                 {}};
  check_image_size("PNG", image.width, image.height);
  if (png_get_rowbytes(session.png, session.info) * std::uint64_t{image.height} / kMaxCompression >
      file.size()) {
    fail("the file is too small for its pixels");
  }
  if (!session.start()) fail(session.reason);
  const std::size_t row_bytes = std::size_t{image.width} * 3;
  if (png_get_rowbytes(session.png, session.info) != row_bytes) fail("not a known pixel format");
  image.pixels.resize(row_bytes * image.height);
  if (!session.read(image.pixels.data(), row_bytes)) fail(session.reason);
  return image;
}

}  // namespace bit::pipeline
