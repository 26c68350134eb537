#include "pipeline/convert/decode_image.h"

#include <string>
#include <string_view>

#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

constexpr std::uint64_t kMaxSide = 65500;
constexpr std::uint64_t kMaxPixels = std::uint64_t{1} << 28;

bool has(std::span<const std::byte> file, std::size_t offset, std::string_view text) {
  return file.size() >= offset + text.size() &&
         std::string_view(reinterpret_cast<const char*>(file.data()) + offset, text.size()) == text;
}

}  // namespace

ImageKind image_kind(std::span<const std::byte> file) {
  if (has(file, 0, "\xFF\xD8\xFF")) return ImageKind::kJpeg;
  if (has(file, 0, "\x89PNG\r\n\x1A\n")) return ImageKind::kPng;
  if (has(file, 0, "RIFF") && has(file, 8, "WEBP")) return ImageKind::kWebp;
  if (has(file, 0, "BM")) return ImageKind::kBmp;
  if (has(file, 0, "GIF87a") || has(file, 0, "GIF89a")) return ImageKind::kGif;
  return ImageKind::kUnknown;
}

RgbImage decode_image(std::span<const std::byte> file, JpegDecoder& jpeg) {
  switch (image_kind(file)) {
    case ImageKind::kJpeg:
      jpeg.open(file);
      return jpeg.decode_full();
    case ImageKind::kPng:
      return decode_png(file);
    case ImageKind::kWebp:
      return decode_webp(file);
    case ImageKind::kBmp:
      return decode_bmp(file);
    case ImageKind::kGif:
      return decode_gif(file);
    case ImageKind::kUnknown:
      break;
  }
  if (file.empty()) throw storage::DataError("an empty file");
  throw storage::DataError("not an image of a known kind (JPEG, PNG, WebP, BMP, GIF)");
}

void check_image_size(const char* kind, std::uint64_t width, std::uint64_t height) {
  const auto refuse = [&](const std::string& reason) {
    throw storage::DataError(std::string(kind) + ": " + std::to_string(width) + " x " +
                             std::to_string(height) + " pixels: " + reason);
  };
  if (width == 0 || height == 0) refuse("an empty image");
  if (width > kMaxSide || height > kMaxSide) refuse("more than 65500 a side");
  if (width * height > kMaxPixels) refuse("more than 2^28 pixels");
}

}  // namespace bit::pipeline
