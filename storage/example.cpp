// Reads the few features of a tensorflow.Example that an image record needs by walking its wire
// format, so that the image is a view into the record instead of a copy; the rules (last value
// wins, messages merge, unknown fields are skipped) are protobuf's, and the tests hold this walk
// against the class generated from schemas/example.proto.
#include "storage/example.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "schemas/example.pb.h"
#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// The features that are looked at; all others are skipped.
enum Key {
  kEncoded,
  kFilename,
  kHeight,
  kWidth,
  kLabel,  // ours
  kTfdsImage,
  kTfdsLabel,
  kTfdsFileName,  // TensorFlow Datasets
  kKeys
};
constexpr std::array<std::string_view, kKeys> kKeyNames = {
    "image/encoded",     "image/filename", "image/height", "image/width",
    "image/class/label", "image",          "label",        "file_name"};

constexpr std::uint32_t tag(int field, WireFormatLite::WireType type) {
  return static_cast<std::uint32_t>(field) << 3 | static_cast<std::uint32_t>(type);
}
constexpr std::uint32_t kTag1Bytes = tag(1, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr std::uint32_t kTag2Bytes = tag(2, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr std::uint32_t kTag3Bytes = tag(3, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr std::uint32_t kTag1Varint = tag(1, WireFormatLite::WIRETYPE_VARINT);

struct Feature {
  enum class Kind { kNone, kBytes, kFloats, kInts };
  Kind kind = Kind::kNone;
  std::string_view bytes;       // the first value
  std::size_t bytes_count = 0;  // values
  std::vector<std::int64_t> ints;

  void clear() {
    kind = Kind::kNone;
    bytes = {};
    bytes_count = 0;
    ints.clear();
  }
  // A oneof: another kind drops what was there, the same kind is added to.
  void become(Kind other) {
    if (kind == other) return;
    clear();
    kind = other;
  }
};

// What a record says; the memory of its numbers serves the next record.
struct Features {
  std::array<Feature, kKeys> features;
  std::array<bool, kKeys> present{};
  Feature entry;  // of the map, while it is read

  void clear() { present.fill(false); }
  // nullptr: the record does not have it.
  const Feature* find(Key key) const { return present[key] ? &features[key] : nullptr; }
};

class Walker {
 public:
  explicit Walker(std::string_view record)
      : input_(reinterpret_cast<const std::uint8_t*>(record.data()),
               static_cast<int>(record.size())) {}

  // False when the record is not a tensorflow.Example.
  bool example(Features& features) {
    return fields([&](std::uint32_t tag) {
      return tag == kTag1Bytes ? nested([&] { return feature_map(features); }) : skip(tag);
    });
  }

 private:
  bool feature_map(Features& features) {
    return fields([&](std::uint32_t tag) {
      return tag == kTag1Bytes ? nested([&] { return map_entry(features); }) : skip(tag);
    });
  }

  bool map_entry(Features& features) {
    std::string_view key;
    Feature& feature = features.entry;
    feature.clear();
    const bool good = fields([&](std::uint32_t tag) {
      if (tag == kTag1Bytes) return view(key);
      if (tag == kTag2Bytes) return nested([&] { return one_feature(feature); });
      return skip(tag);
    });
    if (!good) return false;
    for (std::size_t i = 0; i < kKeys; ++i) {
      if (key != kKeyNames[i]) continue;
      std::swap(features.features[i], feature);
      features.present[i] = true;
      break;
    }
    return true;
  }

  bool one_feature(Feature& feature) {
    return fields([&](std::uint32_t tag) {
      switch (tag) {
        case kTag1Bytes:
          feature.become(Feature::Kind::kBytes);
          return nested([&] { return bytes_list(feature); });
        case kTag2Bytes:
          feature.become(Feature::Kind::kFloats);
          return skip(tag);  // no feature that is looked at holds floats
        case kTag3Bytes:
          feature.become(Feature::Kind::kInts);
          return nested([&] { return int64_list(feature); });
        default:
          return skip(tag);
      }
    });
  }

  bool bytes_list(Feature& feature) {
    return fields([&](std::uint32_t tag) {
      if (tag != kTag1Bytes) return skip(tag);
      std::string_view value;
      if (!view(value)) return false;
      if (feature.bytes_count++ == 0) feature.bytes = value;
      return true;
    });
  }

  bool int64_list(Feature& feature) {
    return fields([&](std::uint32_t tag) {
      if (tag == kTag1Varint) return one_int(feature);
      if (tag != kTag1Bytes) return skip(tag);
      return nested([&] {
        while (input_.BytesUntilLimit() > 0) {
          if (!one_int(feature)) return false;
        }
        return true;
      });
    });
  }

  bool one_int(Feature& feature) {
    std::uint64_t value = 0;
    if (!input_.ReadVarint64(&value)) return false;
    feature.ints.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  // Gives every tag of the message that ends at the current limit to `field`.
  template <typename Field>
  bool fields(Field field) {
    while (const std::uint32_t tag = input_.ReadTag()) {
      if (!field(tag)) return false;
    }
    return input_.ConsumedEntireMessage();
  }

  // Runs `message` on the length-delimited field ahead.
  template <typename Message>
  bool nested(Message message) {
    int length = 0;
    if (!length_ahead(length)) return false;
    const CodedInputStream::Limit outer = input_.PushLimit(length);
    const bool good = message() && input_.BytesUntilLimit() == 0;
    input_.PopLimit(outer);
    return good;
  }

  bool view(std::string_view& value) {
    int length = 0;
    if (!length_ahead(length)) return false;
    const void* data = nullptr;
    int available = 0;
    input_.GetDirectBufferPointerInline(&data, &available);
    value = {static_cast<const char*>(data), static_cast<std::size_t>(length)};
    return input_.Skip(length);
  }

  // A length that fits into the enclosing message.
  bool length_ahead(int& length) {
    if (!input_.ReadVarintSizeAsInt(&length)) return false;
    const int limit = input_.BytesUntilLimit();
    if (limit >= 0) return length <= limit;
    const void* data = nullptr;
    int available = 0;
    input_.GetDirectBufferPointerInline(&data, &available);
    return length <= available;
  }

  bool skip(std::uint32_t tag) { return WireFormatLite::SkipField(&input_, tag); }

  CodedInputStream input_;
};

std::string quoted(Key key) { return "`" + std::string(kKeyNames[key]) + "`"; }

// The only value of a bytes feature; nullopt when the record does not have the feature.
std::optional<std::string_view> bytes_of(const Features& features, Key key) {
  const Feature* feature = features.find(key);
  if (feature == nullptr) return std::nullopt;
  if (feature->kind != Feature::Kind::kBytes || feature->bytes_count != 1) {
    throw DataError(quoted(key) + " does not hold exactly one byte string");
  }
  return feature->bytes;
}

// Width or height: 0 when the record does not say, or says something that cannot be.
std::uint32_t pixels_of(const Features& features, Key key) {
  const Feature* feature = features.find(key);
  if (feature == nullptr || feature->ints.size() != 1) return 0;
  const std::int64_t value = feature->ints.front();
  return value > 0 && value <= std::numeric_limits<std::int32_t>::max()
             ? static_cast<std::uint32_t>(value)
             : 0;
}

// Labels under `key`, whose first class has the number `first`, in the place of `labels`.
void read_labels(const Features& features, Key key, std::int64_t first,
                 std::vector<std::int32_t>& labels) {
  labels.clear();
  const Feature* feature = features.find(key);
  if (feature == nullptr) return;
  if (feature->kind != Feature::Kind::kInts && feature->kind != Feature::Kind::kNone) {
    throw DataError(quoted(key) + " does not hold integers");
  }
  for (const std::int64_t value : feature->ints) {
    if (key == kTfdsLabel && value == -1) continue;  // unlabelled
    if (value < first || value - first > std::numeric_limits<std::int32_t>::max()) {
      throw DataError("label " + std::to_string(value) + " under " + quoted(key) +
                      ", whose labels start at " + std::to_string(first));
    }
    labels.push_back(static_cast<std::int32_t>(value - first));
  }
}

void add_bytes(schemas::Example& example, const std::string& key, std::string_view value) {
  (*example.mutable_features()->mutable_feature())[key].mutable_bytes_list()->add_value(
      value.data(), value.size());
}

schemas::Int64List& int_list(schemas::Example& example, const std::string& key) {
  return *(*example.mutable_features()->mutable_feature())[key].mutable_int64_list();
}

}  // namespace

struct ImageExampleParser::Impl {
  Features features;
  ImageExample image;
};

ImageExampleParser::ImageExampleParser() : impl_(std::make_unique<Impl>()) {}

ImageExampleParser::~ImageExampleParser() = default;

const ImageExample& ImageExampleParser::parse(std::span<const std::byte> record) {
  Features& features = impl_->features;
  features.clear();
  if (record.size() > kMaxRecordBytes ||
      !Walker({reinterpret_cast<const char*>(record.data()), record.size()}).example(features)) {
    throw DataError("not a tensorflow.Example");
  }
  ImageExample& image = impl_->image;
  auto encoded = bytes_of(features, kEncoded);
  const bool tfds = !encoded;
  if (tfds) encoded = bytes_of(features, kTfdsImage);
  if (!encoded) throw DataError("no image: neither `image/encoded` nor `image`");
  image.encoded = std::as_bytes(std::span(*encoded));
  read_labels(features, tfds ? kTfdsLabel : kLabel, tfds ? 0 : 1, image.labels);
  image.key = bytes_of(features, tfds ? kTfdsFileName : kFilename).value_or(std::string_view());
  image.width = pixels_of(features, kWidth);
  image.height = pixels_of(features, kHeight);
  return image;
}

ImageExample parse_image_example(std::span<const std::byte> record) {
  ImageExampleParser parser;
  return parser.parse(record);
}

std::string serialize_image_example(const ImageExample& image, std::string_view class_text) {
  schemas::Example example;
  add_bytes(example, "image/encoded",
            {reinterpret_cast<const char*>(image.encoded.data()), image.encoded.size()});
  add_bytes(example, "image/format", "JPEG");
  add_bytes(example, "image/colorspace", "RGB");
  add_bytes(example, "image/filename", image.key);
  add_bytes(example, "image/class/text", class_text);
  int_list(example, "image/channels").add_value(3);
  if (image.height != 0) int_list(example, "image/height").add_value(image.height);
  if (image.width != 0) int_list(example, "image/width").add_value(image.width);
  schemas::Int64List& labels = int_list(example, "image/class/label");
  for (const std::int32_t label : image.labels) labels.add_value(std::int64_t{label} + 1);

  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream output(&stream);
    output.SetSerializationDeterministic(true);  // map entries in the byte order of their keys
    example.SerializeToCodedStream(&output);
  }
  return bytes;
}

}  // namespace bit::storage
