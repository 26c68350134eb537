// What a record means, told twice: by parse_image_example, and by the class that protobuf generates
// from schemas/example.proto. The unit tests and the fuzzer demand that both say the same.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "schemas/example.pb.h"
#include "storage/example.h"
#include "storage/tfrecord.h"

namespace bit::test {

struct ImageOutcome {
  bool usable = false;
  std::string encoded;
  std::vector<std::int32_t> labels;
  std::string key;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  bool operator==(const ImageOutcome&) const = default;
};

inline ImageOutcome outcome_of_walk(std::span<const std::byte> record) {
  try {
    const storage::ImageExample image = storage::parse_image_example(record);
    return {true,
            std::string(reinterpret_cast<const char*>(image.encoded.data()), image.encoded.size()),
            image.labels,
            std::string(image.key),
            image.width,
            image.height};
  } catch (const storage::DataError&) {
    return {};
  }
}

inline ImageOutcome outcome_of_generated_class(const schemas::Example& example) {
  using schemas::Feature;
  const auto& map = example.features().feature();
  const auto find = [&](const std::string& key) -> const Feature* {
    const auto found = map.find(key);
    return found == map.end() ? nullptr : &found->second;
  };
  const auto good_bytes = [](const Feature* feature) {
    return feature == nullptr || feature->bytes_list().value_size() == 1;
  };
  const auto pixels = [](const Feature* feature) -> std::uint32_t {
    if (feature == nullptr || feature->int64_list().value_size() != 1) return 0;
    const std::int64_t value = feature->int64_list().value(0);
    if (value < 0 || value > std::numeric_limits<std::int32_t>::max()) return 0;
    return static_cast<std::uint32_t>(value);
  };

  const bool tfds = find("image/encoded") == nullptr;
  const Feature* image = find(tfds ? "image" : "image/encoded");
  const Feature* key = find(tfds ? "file_name" : "image/filename");
  const Feature* label = find(tfds ? "label" : "image/class/label");
  if (image == nullptr || !good_bytes(image) || !good_bytes(key)) return {};
  ImageOutcome outcome{true, image->bytes_list().value(0), {}, {}, 0, 0};
  if (key != nullptr) outcome.key = key->bytes_list().value(0);
  if (label != nullptr) {
    if (label->has_bytes_list() || label->has_float_list()) return {};
    for (const std::int64_t value : label->int64_list().value()) {
      if (tfds && value == -1) continue;
      const std::int64_t first = tfds ? 0 : 1;
      if (value < first || value - first > std::numeric_limits<std::int32_t>::max()) return {};
      outcome.labels.push_back(static_cast<std::int32_t>(value - first));
    }
  }
  outcome.width = pixels(find("image/width"));
  outcome.height = pixels(find("image/height"));
  return outcome;
}

}  // namespace bit::test
