// Chooses the decoder for a JPEG: our own for the files that it knows, and libjpeg-turbo for all
// others. Our own judges nothing: what it stumbles over is decoded again from the start, so damage
// is told, and concealed, by libjpeg-turbo alone.
#include "pipeline/jpeg.h"

#include <cstring>
#include <stdexcept>
#include <utility>

#include "pipeline/jpeg/libjpeg_decoder.h"
#include "pipeline/jpeg/strip_decoder.h"
#include "pipeline/resize.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

// Calls use(const std::uint8_t* rgb) for each row of `box` of the image shrunk by `shrink`, until
// there is none: then false.
template <typename Decoder, typename Use>
bool read_rows(Decoder& decoder, const CropBox& box, std::uint32_t shrink, Use use) {
  if (!decoder.begin(box, shrink)) return false;
  for (std::uint32_t y = 0; y < box.height; ++y) {
    const std::uint8_t* row = decoder.next_row();
    if (row == nullptr) return false;
    use(row);
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

  // Calls use(const std::uint8_t* rgb) for each row of `box` of the image shrunk by `shrink`; when
  // it turns out on the way that libjpeg has to do it, calls restart() and begins again.
  template <typename Restart, typename Use>
  void decode_rows(const CropBox& box, std::uint32_t shrink, Restart restart, Use use) {
    const Opened how = std::exchange(opened, Opened::kNot);
    if (how == Opened::kNot) throw std::logic_error("no image is open");
    if (how == Opened::kStrip) {
      if (read_rows(strip, box, shrink, use)) return;
      libjpeg.open(jpeg);
      restart();
    }
    read_rows(libjpeg, box, shrink, use);
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
  RowResizer& resizer = impl_->resizer;
  resizer.begin(plan, size, out);
  const CropBox source = resizer.source();
  impl_->decode_rows(
      source, plan.shrink, [&] { resizer.begin(plan, size, out); },
      [&](const std::uint8_t* row) { resizer.push_row(row); });
}

RgbImage JpegDecoder::decode_full() {
  const ImageSize size = impl_->size();
  RgbImage image{size.width, size.height, {}};
  const std::size_t row_bytes = std::size_t{image.width} * 3;
  image.pixels.resize(row_bytes * image.height);
  std::uint8_t* out = image.pixels.data();
  impl_->decode_rows(
      {0, 0, image.width, image.height}, 1, [&] { out = image.pixels.data(); },
      [&](const std::uint8_t* row) {
        std::memcpy(out, row, row_bytes);
        out += row_bytes;
      });
  return image;
}

}  // namespace bit::pipeline
