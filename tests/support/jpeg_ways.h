// The ways to decode a JPEG next to each other: StripDecoder alone, JpegDecoder's fastest way, and
// libjpeg-turbo. For tests of damage and for the fuzzer, which must not ask for less.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pipeline/jpeg.h"
#include "pipeline/jpeg/strip_decoder.h"
#include "storage/tfrecord.h"

namespace bit::test {

class JpegWays {
 public:
  struct Result {
    bool strip = false, fastest = false, libjpeg = false;  // which gave pixels
    const char* broken = nullptr;                          // what must not be
  };

  // A square crop, a function of `choice` and of the image, or all of it for each third choice.
  // Images of more than `max_pixels` are not decoded. Damage may be seen by one way and not by
  // another that need not look at it, but not of the whole; where two give pixels, they are the
  // same.
  Result compare(std::span<const std::byte> jpeg, std::uint32_t choice, std::uint64_t max_pixels) {
    Result result;
    const bool known = strip_.open(jpeg);
    const auto size = open(fastest_, jpeg), size_by_libjpeg = open(libjpeg_, jpeg);
    if (size != size_by_libjpeg && (!known || size_by_libjpeg.has_value())) {
      result.broken = "the two read different sizes";
      return result;
    }
    if (!size || std::uint64_t{size->width} * size->height > max_pixels) return result;
    if (known && pipeline::ImageSize{strip_.header().width, strip_.header().height} != *size) {
      result.broken = "the strip has another size";
      return result;
    }
    const bool whole = choice % 3 == 0;
    const pipeline::CropBox crop =
        whole ? pipeline::CropBox{0, 0, size->width, size->height} : crop_of(*size, choice);
    const auto strip = known ? by_strip(crop) : std::nullopt;
    const Pixels fastest = by(fastest_, crop, whole);
    const Pixels libjpeg = size_by_libjpeg ? by(libjpeg_, crop, whole) : std::nullopt;
    result.strip = strip.has_value();
    result.fastest = fastest.has_value();
    result.libjpeg = libjpeg.has_value();
    if (strip && libjpeg && *strip != *libjpeg) result.broken = "strip and libjpeg differ";
    if (strip && !libjpeg && whole) result.broken = "strip does not see the damage";
    if (strip && strip != fastest) result.broken = "strip and the fastest way differ";
    if (!strip && fastest != libjpeg) result.broken = "libjpeg does not judge what strip refuses";
    const Pixels shrunk = by(fastest_, jpeg, shrunk_plan(crop, choice));
    const Pixels shrunk_by_libjpeg = by(libjpeg_, jpeg, shrunk_plan(crop, choice));
    if (shrunk && shrunk_by_libjpeg && *shrunk != *shrunk_by_libjpeg) {
      result.broken = "shrunk, strip and libjpeg differ";
    }
    return result;
  }

 private:
  using Pixels = std::optional<std::vector<std::uint8_t>>;

  static std::optional<pipeline::ImageSize> open(pipeline::JpegDecoder& decoder,
                                                 std::span<const std::byte> jpeg) {
    try {
      return decoder.open(jpeg);
    } catch (const storage::DataError&) {
      return std::nullopt;
    }
  }

  static pipeline::CropBox crop_of(pipeline::ImageSize size, std::uint32_t choice) {
    const std::uint32_t x = choice % size.width, y = choice / 7 % size.height;
    const std::uint32_t room = std::min(size.width - x, size.height - y);
    const std::uint32_t side = 1 + choice / 5 % room;
    return {x, y, side, side};
  }

  Pixels by_strip(const pipeline::CropBox& crop) {
    std::vector<std::uint8_t> pixels;
    strip_.begin(crop);
    for (std::uint32_t y = 0; y < crop.height; ++y) {
      const std::uint8_t* row = strip_.next_row();
      if (row == nullptr) return std::nullopt;
      pixels.insert(pixels.end(), row, row + std::size_t{crop.width} * 3);
    }
    return pixels;
  }

  // Of the opened image, each pixel of the crop as it is.
  static Pixels by(pipeline::JpegDecoder& decoder, const pipeline::CropBox& crop, bool whole) {
    try {
      if (whole) return decoder.decode_full().pixels;
      std::vector<std::uint8_t> pixels(std::size_t{crop.width} * crop.width * 3);
      decoder.decode({crop, crop.width, crop.width, 0, 0, false}, crop.width, pixels);
      return pixels;
    } catch (const storage::DataError&) {
      return std::nullopt;
    }
  }

  // The crop by half or a quarter of the image.
  static pipeline::ImagePlan shrunk_plan(const pipeline::CropBox& crop, std::uint32_t choice) {
    pipeline::ImagePlan plan;
    plan.crop = crop;
    plan.resized_width = plan.resized_height = kShrunkSide;
    plan.shrink = choice / 11 % 2 == 0 ? 2 : 4;
    return plan;
  }

  static Pixels by(pipeline::JpegDecoder& decoder, std::span<const std::byte> jpeg,
                   const pipeline::ImagePlan& plan) {
    try {
      decoder.open(jpeg);
      std::vector<std::uint8_t> pixels(std::size_t{kShrunkSide} * kShrunkSide * 3);
      decoder.decode(plan, kShrunkSide, pixels);
      return pixels;
    } catch (const storage::DataError&) {
      return std::nullopt;
    }
  }

  static constexpr std::uint32_t kShrunkSide = 6;

  // Used again for the next file, as the loader does.
  pipeline::StripDecoder strip_;
  pipeline::JpegDecoder fastest_;
  pipeline::JpegDecoder libjpeg_{pipeline::JpegMethod::kLibjpeg};
};

}  // namespace bit::test
