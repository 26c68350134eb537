// Rewritten, then decoded whole: nothing enters a shard that training could not read.
#include "pipeline/convert/normalize_image.h"

#include "pipeline/convert/jpeg_transcode.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

bool starts_like_jpeg(std::span<const std::byte> file) {
  return file.size() >= 3 && file[0] == std::byte{0xFF} && file[1] == std::byte{0xD8} &&
         file[2] == std::byte{0xFF};
}

}  // namespace

NormalizedImage normalize_image(std::span<const std::byte> file, JpegMode mode,
                                JpegDecoder& decoder) {
  if (file.empty()) throw storage::DataError("an empty file");
  if (!starts_like_jpeg(file)) throw storage::DataError("not a JPEG");
  NormalizedImage image;
  image.bytes = mode == JpegMode::kLossless ? transcode_jpeg(file, {})
                                            : std::vector<std::byte>(file.begin(), file.end());
  const ImageSize size = decoder.open(image.bytes);
  decoder.decode_full();
  image.width = size.width;
  image.height = size.height;
  return image;
}

}  // namespace bit::pipeline
