// Image records: both key conventions, and the walk over the wire format held against protobuf's
// own parser.
#include "storage/example.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <utility>

#include "schemas/example.pb.h"
#include "tests/support/example_oracle.h"
#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

using Labels = std::vector<std::int32_t>;

// A tf.train.Example, feature by feature.
class Features {
 public:
  Features& bytes(const std::string& key, const std::string& value) {
    feature(key).mutable_bytes_list()->add_value(value);
    return *this;
  }
  Features& ints(const std::string& key, const std::vector<std::int64_t>& values) {
    auto& list = *feature(key).mutable_int64_list();
    for (const std::int64_t value : values) list.add_value(value);
    return *this;
  }
  std::string record() const { return example_.SerializeAsString(); }

 private:
  schemas::Feature& feature(const std::string& key) {
    return (*example_.mutable_features()->mutable_feature())[key];
  }
  schemas::Example example_;
};

std::string reason(const std::string& record) {
  return message_of<DataError>([&] { parse_image_example(bytes_of(record)); });
}

TEST(ImageExample, reads_one_based_labels_beside_image_encoded) {
  const std::string record = Features()
                                 .bytes("image/encoded", "JPEG")
                                 .ints("image/class/label", {1, 1000})
                                 .bytes("image/filename", "n01440764_18.JPEG")
                                 .ints("image/height", {375})
                                 .ints("image/width", {500})
                                 .bytes("image/class/synset", "n01440764")
                                 .record();
  const ImageExample image = parse_image_example(bytes_of(record));
  EXPECT_EQ(text_of(image.encoded), "JPEG");
  EXPECT_EQ(image.labels, (Labels{0, 999}));
  EXPECT_EQ(image.key, "n01440764_18.JPEG");
  EXPECT_EQ(image.width, 500u);
  EXPECT_EQ(image.height, 375u);
}

TEST(ImageExample, reads_zero_based_labels_beside_image_as_tensorflow_datasets_writes_them) {
  const std::string record =
      Features().bytes("image", "JPEG").ints("label", {0}).bytes("file_name", "a.jpg").record();
  const ImageExample image = parse_image_example(bytes_of(record));
  EXPECT_EQ(text_of(image.encoded), "JPEG");
  EXPECT_EQ(image.labels, Labels{0});
  EXPECT_EQ(image.key, "a.jpg");
  EXPECT_EQ(image.width, 0u);
}

TEST(ImageExample, minus_one_is_unlabelled_in_tensorflow_datasets) {
  const std::string record = Features().bytes("image", "JPEG").ints("label", {-1}).record();
  EXPECT_TRUE(parse_image_example(bytes_of(record)).labels.empty());
}

TEST(ImageExample, image_is_a_view_into_the_record) {
  const std::string record = Features().bytes("image", std::string(1000, 'x')).record();
  const auto image = parse_image_example(bytes_of(record)).encoded;
  EXPECT_GE(image.data(), bytes_of(record).data());
  EXPECT_LE(image.data() + image.size(), bytes_of(record).data() + record.size());
}

TEST(ImageExample, says_why_a_record_is_no_image) {
  EXPECT_EQ(reason("\xFF\xFF garbage"), "not a tensorflow.Example");
  EXPECT_EQ(reason(""), "no image: neither `image/encoded` nor `image`");
  EXPECT_EQ(reason(Features().ints("image/encoded", {1}).record()),
            "`image/encoded` does not hold exactly one byte string");
  EXPECT_EQ(reason(Features().bytes("image", "a").bytes("image", "b").record()),
            "`image` does not hold exactly one byte string");
  EXPECT_EQ(reason(Features().bytes("image", "a").bytes("label", "cat").record()),
            "`label` does not hold integers");
  EXPECT_EQ(reason(Features().bytes("image/encoded", "a").ints("image/class/label", {0}).record()),
            "label 0 under `image/class/label`, whose labels start at 1");
  EXPECT_EQ(reason(Features().bytes("image", "a").ints("label", {-2}).record()),
            "label -2 under `label`, whose labels start at 0");
}

TEST(ImageExample, a_record_cut_anywhere_is_refused_or_lacks_features_but_never_reads_outside) {
  const std::string record = image_record("image bytes", {3}, "key");
  for (std::size_t size = 0; size < record.size(); ++size) {
    // A copy of exactly that size, so that sanitizers see a read past its end.
    const std::vector<char> cut(record.begin(), record.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(test::outcome_of_walk(std::as_bytes(std::span(cut))).usable) << size;
  }
}

TEST(ImageExample, written_records_have_the_keys_of_the_field_in_byte_order) {
  const std::string record = image_record("image bytes", {3, 7}, "a.jpg");
  schemas::Example example;
  ASSERT_TRUE(example.ParseFromString(record));
  const auto& features = example.features().feature();
  EXPECT_EQ(features.size(), 9u);
  EXPECT_EQ(features.at("image/encoded").bytes_list().value(0), "image bytes");
  EXPECT_EQ(features.at("image/format").bytes_list().value(0), "JPEG");
  EXPECT_EQ(features.at("image/colorspace").bytes_list().value(0), "RGB");
  EXPECT_EQ(features.at("image/channels").int64_list().value(0), 3);
  EXPECT_EQ(features.at("image/width").int64_list().value(0), 640);
  EXPECT_EQ(features.at("image/height").int64_list().value(0), 480);
  EXPECT_EQ(features.at("image/filename").bytes_list().value(0), "a.jpg");
  EXPECT_EQ(features.at("image/class/text").bytes_list().value(0), "class name");
  EXPECT_THAT(features.at("image/class/label").int64_list().value(), ::testing::ElementsAre(4, 8));

  std::size_t before = 0;
  for (const char* key :
       {"image/channels", "image/class/label", "image/class/text", "image/colorspace",
        "image/encoded", "image/filename", "image/format", "image/height", "image/width"}) {
    const std::size_t at = record.find(key);
    EXPECT_GT(at, before) << key;
    before = at;
  }
}

TEST(ImageExample, what_is_written_is_read) {
  const std::string record = image_record("image bytes", {0, 21840}, "dir/a.jpg");
  const test::ImageOutcome expected{true, "image bytes", {0, 21840}, "dir/a.jpg", 640, 480};
  EXPECT_EQ(test::outcome_of_walk(bytes_of(record)), expected);
}

// Wire format, written by hand so that every legal oddity occurs.
std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out += static_cast<char>(value);
}
std::string bytes_field(int number, const std::string& content) {
  return varint(static_cast<std::uint64_t>(number) << 3 | 2) + varint(content.size()) + content;
}
std::string varint_field(int number, std::uint64_t value) {
  return varint(static_cast<std::uint64_t>(number) << 3) + varint(value);
}

// A few of `make`'s pieces after each other, now and then with a field that nobody knows.
template <typename Make>
std::string pieces(Make make) {
  std::string out;
  const int count = *rc::gen::element(1, 1, 1, 1, 1, 1, 1, 1, 2, 0);
  for (int i = 0; i < count; ++i) {
    out += make();
    const int unknown = *rc::gen::inRange(0, 12);
    if (unknown == 0) out += varint_field(15, 7);
    if (unknown == 1) out += bytes_field(16, "unknown");
    if (unknown == 2) out += varint(17 << 3 | 3) + varint_field(1, 1) + varint(17 << 3 | 4);
    if (unknown == 3) out += varint(18 << 3 | 5) + "1234";
  }
  return out;
}

std::string any_list(int kind) {
  return pieces([&] {
    if (kind == 1) return bytes_field(1, *rc::gen::arbitrary<std::string>());
    if (kind == 2) return bytes_field(1, "12345678");
    const auto value = static_cast<std::uint64_t>(
        *rc::gen::element<std::int64_t>(1, 1, 2, 500, 1 << 20, 0, -1, -2, 2147483648, 1LL << 40));
    return *rc::gen::arbitrary<bool>() ? varint_field(1, value)
                                       : bytes_field(1, varint(value) + varint(3));
  });
}

// Mostly of the kind that belongs under the key: 1 bytes, 2 floats, 3 integers.
std::string any_feature(int usual_kind) {
  return pieces([&] {
    const int kind = *rc::gen::inRange(0, 8) == 0 ? *rc::gen::inRange(1, 4) : usual_kind;
    return bytes_field(kind, any_list(kind));
  });
}

std::string any_entry() {
  static const std::vector<std::pair<std::string, int>> kKeys = {{"image/encoded", 1},
                                                                 {"image/encoded", 1},
                                                                 {"image/class/label", 3},
                                                                 {"image", 1},
                                                                 {"label", 3},
                                                                 {"image/filename", 1},
                                                                 {"file_name", 1},
                                                                 {"image/width", 3},
                                                                 {"image/height", 3},
                                                                 {"image/mean", 2},
                                                                 {"", 1}};
  const auto [key, kind] = *rc::gen::elementOf(kKeys);
  const std::string key_field = bytes_field(1, key);
  const int usual_kind = kind;
  const std::string value = pieces([&] { return bytes_field(2, any_feature(usual_kind)); });
  return *rc::gen::arbitrary<bool>() ? key_field + value : value + key_field;
}

RC_GTEST_PROP(ImageExampleProperty, agrees_with_the_generated_class_on_any_example, ()) {
  std::string record;
  const int parts = *rc::gen::inRange(1, 3);
  for (int part = 0; part < parts; ++part) {
    std::string map;
    const int entries = *rc::gen::inRange(0, 8);
    for (int i = 0; i < entries; ++i) map += bytes_field(1, any_entry());
    record += bytes_field(1, map);
  }
  schemas::Example example;
  RC_ASSERT(example.ParseFromString(record));
  const auto expected = test::outcome_of_generated_class(example);
  RC_CLASSIFY(expected.usable);
  RC_ASSERT(test::outcome_of_walk(bytes_of(record)) == expected);
}

}  // namespace
}  // namespace bit::storage
