// An image record: the tensorflow.Example keys that the field uses, read and written.
// tensorflow/models, tensorflow/tpu: `image/encoded`, `image/class/label` from 1 (0: background)
// TensorFlow Datasets: `image`, `label` from 0, `file_name`
// Ours are the first kind, with several values in `image/class/label` for several labels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bit::storage {

struct ImageExample {
  // JPEG or other bytes; a view into the record or the caller's buffer
  std::span<const std::byte> encoded;
  std::vector<std::int32_t> labels;  // 0-based
  std::string_view key;              // file name within the dataset; a view
  std::uint32_t width = 0;           // pixels; 0 when the record does not say
  std::uint32_t height = 0;
};

// Views in the result stay valid as long as `record` does. Throws DataError with the reason alone
// ("not a tensorflow.Example", "no image: neither `image/encoded` nor `image`", "label 0 under
// `image/class/label`, whose labels start at 1"). A TFDS label of -1 (unlabelled) gives no labels.
ImageExample parse_image_example(std::span<const std::byte> record);

// The same for many records, without allocating for each. One thread.
class ImageExampleParser {
 public:
  ImageExampleParser();
  ~ImageExampleParser();
  ImageExampleParser(const ImageExampleParser&) = delete;
  ImageExampleParser& operator=(const ImageExampleParser&) = delete;
  // Valid until the next call, its views as long as `record` too.
  const ImageExample& parse(std::span<const std::byte> record);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Serialized with keys in byte order, so that equal examples give equal bytes. Channels and colour
// space are always 3, RGB.
std::string serialize_image_example(const ImageExample& example, std::string_view class_text);

}  // namespace bit::storage
