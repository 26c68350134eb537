// WebP through libwebp, animations through its demuxer.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>
#include <string>

#include "pipeline/convert/decode_image.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

[[noreturn]] void fail(const std::string& reason) { throw storage::DataError("WebP: " + reason); }

const char* reason(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return "out of memory";
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      return "the data ends inside the image";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "a feature that libwebp does not know";
    default:
      return "damaged data";
  }
}

// A still picture into `image` with its corner at (x, y).
void decode_still(const std::uint8_t* data, std::size_t bytes, std::size_t x, std::size_t y,
                  RgbImage& image) {
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) fail("another version of libwebp");
  if (const auto status = WebPGetFeatures(data, bytes, &config.input); status != VP8_STATUS_OK) {
    fail(reason(status));
  }
  const auto width = static_cast<std::size_t>(config.input.width);
  const auto height = static_cast<std::size_t>(config.input.height);
  if (x + width > image.width || y + height > image.height) fail("a frame outside of the canvas");
  const std::size_t stride = std::size_t{image.width} * 3, corner = y * stride + x * 3;
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = image.pixels.data() + corner;
  config.output.u.RGBA.stride = static_cast<int>(stride);
  config.output.u.RGBA.size = image.pixels.size() - corner;
  if (const auto status = WebPDecode(data, bytes, &config); status != VP8_STATUS_OK) {
    fail(reason(status));
  }
}

struct DemuxerDelete {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};

RgbImage black(std::uint64_t width, std::uint64_t height) {
  check_image_size("WebP", width, height);
  return {static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height),
          std::vector<std::uint8_t>(width * height * 3)};
}

RgbImage decode_first_frame(const WebPData& data) {
  // Partial: the frames after the first need not be there.
  WebPDemuxState state;
  const std::unique_ptr<WebPDemuxer, DemuxerDelete> demuxer(WebPDemuxPartial(&data, &state));
  if (demuxer == nullptr) fail("damaged data");
  WebPIterator frame{};
  const std::unique_ptr<WebPIterator, decltype(&WebPDemuxReleaseIterator)> release(
      &frame, &WebPDemuxReleaseIterator);
  if (WebPDemuxGetFrame(demuxer.get(), 1, &frame) == 0 || frame.complete == 0) {
    fail("the data ends inside the first frame");
  }
  RgbImage image = black(WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH),
                         WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT));
  decode_still(frame.fragment.bytes, frame.fragment.size, static_cast<std::size_t>(frame.x_offset),
               static_cast<std::size_t>(frame.y_offset), image);
  return image;
}

}  // namespace

RgbImage decode_webp(std::span<const std::byte> file) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(file.data());
  WebPBitstreamFeatures features;
  if (const auto status = WebPGetFeatures(data, file.size(), &features); status != VP8_STATUS_OK) {
    fail(reason(status));
  }
  if (features.has_animation != 0) return decode_first_frame({data, file.size()});
  RgbImage image = black(static_cast<std::uint64_t>(features.width),
                         static_cast<std::uint64_t>(features.height));
  decode_still(data, file.size(), 0, 0, image);
  return image;
}

}  // namespace bit::pipeline
