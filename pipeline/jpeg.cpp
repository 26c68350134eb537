// Chooses the decoder for a JPEG: our own for the files that it knows, and libjpeg-turbo for all
// others. Our own judges nothing: what it stumbles over is decoded again from the start, so damage
// is told, and concealed, by libjpeg-turbo alone.
#include "pipeline/jpeg.h"

#include <cstring>
#include <stdexcept>
#include <utility>

#include "pipeline/jpeg/color_simd.h"
#include "pipeline/jpeg/libjpeg_decoder.h"
#include "pipeline/jpeg/strip_decoder.h"
#include "pipeline/resize.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

static_assert(RowResizer::kPlaneUnit % kColorUnit == 0);

// Writes the rows that the resizer asks for into it. False: not for this decoder.
bool resize_rows(StripDecoder& decoder, std::uint32_t shrink, RowResizer& resizer) {
  if (!decoder.begin(resizer.source(), shrink)) return false;
  while (!resizer.complete()) {
    if (!decoder.next_row(resizer.row(), resizer.plane_bytes())) return false;
    resizer.push_row();
  }
  return true;
}

// All rows of the opened image to `out` [height, width, 3]. False: not for this decoder.
template <typename Decoder>
bool copy_rows(Decoder& decoder, ImageSize size, std::uint8_t* out) {
  if (!decoder.begin({0, 0, size.width, size.height})) return false;
  const std::size_t row_bytes = std::size_t{size.width} * 3;
  for (std::uint32_t y = 0; y < size.height; ++y, out += row_bytes) {
    const std::uint8_t* row = decoder.next_row();
    if (row == nullptr) return false;
    std::memcpy(out, row, row_bytes);
  }
  return true;
}

}  // namespace

struct JpegDecoder::Impl {
  const JpegMethod method;
  StripDecoder strip;
  LibjpegDecoder libjpeg;
  std::span<const std::byte> jpeg;
  enum class Opened { kNot, kStrip, kLibjpeg } opened = Opened::kNot;
  RowResizer resizer;

  explicit Impl(JpegMethod jpeg_method) : method(jpeg_method) {}
  ImageSize size() const {
    if (opened == Opened::kStrip) return {strip.header().width, strip.header().height};
    return {libjpeg.width(), libjpeg.height()};
  }

  // Ends with its image: with_strip() if our own decoder has opened it, which says whether it was
  // for it; and with_libjpeg() if it was not.
  template <typename WithStrip, typename WithLibjpeg>
  void decode(WithStrip with_strip, WithLibjpeg with_libjpeg) {
    const Opened how = std::exchange(opened, Opened::kNot);
    if (how == Opened::kNot) throw std::logic_error("no image is open");
    if (how == Opened::kStrip) {
      if (with_strip()) return;
      libjpeg.open(jpeg);
    }
    with_libjpeg();
  }
};

JpegDecoder::JpegDecoder(JpegMethod method) : impl_(std::make_unique<Impl>(method)) {}

JpegDecoder::~JpegDecoder() = default;

ImageSize JpegDecoder::open(std::span<const std::byte> jpeg) {
  Impl& impl = *impl_;
  impl.opened = Impl::Opened::kNot;
  if (jpeg.empty()) throw storage::DataError("no data");
  impl.jpeg = jpeg;
  if (impl.method == JpegMethod::kFastest && impl.strip.open(jpeg)) {
    impl.opened = Impl::Opened::kStrip;
  } else {
    impl.libjpeg.open(jpeg);
    impl.opened = Impl::Opened::kLibjpeg;
  }
  return impl.size();
}

int JpegDecoder::components() const {
  if (impl_->opened == Impl::Opened::kStrip) {
    return static_cast<int>(impl_->strip.header().components.size());
  }
  return impl_->libjpeg.components();
}

void JpegDecoder::decode(const ImagePlan& plan, std::uint32_t size, std::span<std::uint8_t> out) {
  const ImageSize image = impl_->size();
  const CropBox& crop = plan.crop;
  if (crop.x > image.width || crop.width > image.width - crop.x || crop.y > image.height ||
      crop.height > image.height - crop.y) {
    throw std::invalid_argument("the crop is not inside the image");
  }
  if (plan.shrink != 1 && plan.shrink != 2 && plan.shrink != 4) {
    throw std::invalid_argument("an image is shrunk by 1, 2 or 4");
  }
  Impl& impl = *impl_;
  RowResizer& resizer = impl.resizer;
  impl.decode(
      [&] {
        resizer.begin(plan, size, out, RowLayout::kPlanar);
        return resize_rows(impl.strip, plan.shrink, resizer);
      },
      [&] {
        resizer.begin(plan, size, out);
        impl.libjpeg.begin(resizer.source(), plan.shrink);
        while (!resizer.complete()) resizer.push_row(impl.libjpeg.next_row());
      });
}

RgbImage JpegDecoder::decode_full() {
  const ImageSize size = impl_->size();
  RgbImage image{size.width, size.height, {}};
  image.pixels.resize(std::size_t{image.width} * image.height * 3);
  impl_->decode([&] { return copy_rows(impl_->strip, size, image.pixels.data()); },
                [&] { copy_rows(impl_->libjpeg, size, image.pixels.data()); });
  return image;
}

}  // namespace bit::pipeline
