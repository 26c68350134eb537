// Image files of every kind that data sets hold, whole and as RGB. The kind is told by the bytes:
// ImageNet has a PNG named .JPEG. Files are hostile: sizes are checked before memory is asked for,
// and what is damaged or cut short is an error, not a picture with a grey part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "pipeline/jpeg.h"

namespace bit::pipeline {

enum class ImageKind { kUnknown, kJpeg, kPng, kWebp, kBmp, kGif };

// By the first bytes alone; what follows need not be good.
ImageKind image_kind(std::span<const std::byte> file);

// All of these throw storage::DataError with the reason alone, which starts with the kind. Rules
// that they share:
// - An alpha channel and transparent colours are dropped, not blended: the colours that were stored
//   under them show, as in Pillow's convert("RGB").
// - Of 16 bits the high byte is kept, as libpng's strip_16 and TensorFlow do.
// - Colour profiles and gamma are not applied; EXIF orientation is not either.
// - A palette's missing colours are black.
// - Over 65500 pixels a side or 2^28 in all is refused, as JpegDecoder does.

// 1 to 16 bits, grey, RGB, palette, with alpha or a transparent colour, interlaced.
RgbImage decode_png(std::span<const std::byte> file);
// Lossy and lossless; of an animation the first frame, on black where it does not cover the canvas.
RgbImage decode_webp(std::span<const std::byte> file);
// 1, 4 and 8 bits with a palette (RLE too), 16, 24 and 32 bits with or without masks, either
// direction, the headers of OS/2 and of Windows.
RgbImage decode_bmp(std::span<const std::byte> file);
// The first frame; where it does not cover the canvas, the transparent colour if there is one, else
// colour 0, as Pillow has it. A frame that sticks out makes the canvas larger.
RgbImage decode_gif(std::span<const std::byte> file);

// A file of any of these kinds. Throws storage::DataError also for an unknown kind.
RgbImage decode_image(std::span<const std::byte> file, JpegDecoder& jpeg);

// The limits above; `kind` is put before the reason, as in "PNG".
void check_image_size(const char* kind, std::uint64_t width, std::uint64_t height);

}  // namespace bit::pipeline
