// Records of either key convention, compressed or damaged, and what is listed of them.
#include "pipeline/convert/tfrecord_input.h"

#include <zlib.h>

#include "schemas/example.pb.h"
#include "storage/example.h"
#include "tests/unit/pipeline/listing_fixture.h"

namespace bit::pipeline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string our_record(const std::string& image, std::vector<std::int32_t> labels,
                       const std::string& key) {
  storage::ImageExample example;
  example.encoded = std::as_bytes(std::span(image));
  example.labels = std::move(labels);
  example.key = key;
  return storage::serialize_image_example(example, "a name that is not used");
}

// As TensorFlow Datasets writes it: no key when `file_name` is empty.
std::string tfds_record(const std::string& image, std::int64_t label,
                        const std::string& file_name) {
  schemas::Example example;
  auto& features = *example.mutable_features()->mutable_feature();
  features["image"].mutable_bytes_list()->add_value(image);
  features["label"].mutable_int64_list()->add_value(label);
  if (!file_name.empty()) features["file_name"].mutable_bytes_list()->add_value(file_name);
  return example.SerializeAsString();
}

std::string gzipped(const std::string& bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class TfrecordInputTest : public ListingTest {
 protected:
  std::string framed(const std::vector<std::string>& records) {
    const std::string path = directory_ / "framed";
    const auto file = files_.create(path);
    storage::RecordWriter writer(*file);
    for (const std::string& record : records) {
      writer.append(std::as_bytes(std::span(record)));
    }
    file->close();
    return storage::read_file(files_, path);
  }

  Listing listed(TfrecordOptions options, LabelNames labels = {}) {
    TfrecordInput input(files_, std::move(options));
    return list(input, std::move(labels));
  }

  // "key -> labels: bytes of the image"
  std::vector<std::string> pictures(const Listing& listing) {
    std::vector<std::string> all;
    for (std::uint64_t i = 0; i < listing.images(); ++i) {
      const ListedImage image = listing.image(i);
      std::string text = image.key + " ->";
      for (const std::int32_t label : image.labels) text += " " + std::to_string(label);
      const auto bytes = listing.read(image);
      all.push_back(text + ": " +
                    std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }
    return all;
  }
};

TEST_F(TfrecordInputTest, reads_both_conventions_and_finds_the_images_in_the_records) {
  TfrecordOptions options;
  options.paths = {
      write("b.tfrecord", framed({our_record("one", {4, 2}, "1.jpg"), tfds_record("two", 0, "")})),
      write("a.tfrecord", framed({tfds_record("three", 3, "3.jpg")}))};
  for (const unsigned threads : {1u, 3u}) {
    options.threads = threads;
    const Listing listing = listed(options);
    EXPECT_THAT(problems(listing), IsEmpty());
    EXPECT_THAT(pictures(listing),
                ElementsAre("1.jpg -> 2 4: one", "b.tfrecord#1 -> 0: two", "3.jpg -> 3: three"));
  }
}

TEST_F(TfrecordInputTest, reads_gzip_in_sequence) {
  const std::string content =
      framed({our_record("one", {4}, "1.jpg"), our_record("two", {5}, "2.jpg")});
  TfrecordOptions options;
  options.paths = {write("a.tfrecord.gz", gzipped(content)), write("b.tfrecord", content)};
  EXPECT_THAT(pictures(listed(options)), ElementsAre("1.jpg -> 4: one", "2.jpg -> 5: two",
                                                     "1.jpg -> 4: one", "2.jpg -> 5: two"));
  options.paths.pop_back();
  EXPECT_THAT(pictures(listed(options)), ElementsAre("1.jpg -> 4: one", "2.jpg -> 5: two"));
}

TEST_F(TfrecordInputTest, names_what_it_cannot_use_and_goes_on) {
  std::string content =
      framed({our_record("one", {0}, "1.jpg"), our_record("two", {0}, "2.jpg"), "no example",
              tfds_record("four", -1, "4.jpg"), our_record("five", {1}, "5.jpg")});
  const std::size_t damage = content.find("two");
  content[damage] = 'T';
  const auto second = std::to_string(framed({our_record("one", {0}, "1.jpg")}).size());
  TfrecordOptions options;
  options.paths = {write("a.tfrecord", content)};
  const Listing listing = listed(options);
  EXPECT_THAT(pictures(listing), ElementsAre("1.jpg -> 0: one", "5.jpg -> 1: five"));
  const auto found = problems(listing);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_THAT(found[0], testing::StartsWith("a.tfrecord: record 1 at byte " + second +
                                            " | the data fails its checksum"));
  EXPECT_THAT(found[1], testing::MatchesRegex("a.tfrecord: record 2 at byte [0-9]* . "
                                              "not a tensorflow.Example"));
  EXPECT_THAT(found[2], testing::MatchesRegex("a.tfrecord: record 3 at byte [0-9]* . no label"));
}

TEST_F(TfrecordInputTest, takes_labels_by_position_even_where_names_look_like_numbers) {
  // Class folders named 1 to 10 are in byte order: the class `10` has the label 1.
  const std::vector<std::string> names = {"1", "10", "2"};
  TfrecordOptions options;
  options.paths = {
      write("a.tfrecord", framed({our_record("one", {1}, "1.jpg"), our_record("two", {2}, "2.jpg"),
                                  our_record("three", {3}, "3.jpg")}))};
  options.class_names = names;
  const Listing listing = listed(options, LabelNames(ClassList{names, "dataset.json"}));
  EXPECT_THAT(pictures(listing), ElementsAre("1.jpg -> 1: one", "2.jpg -> 2: two"));
  ASSERT_EQ(problems(listing).size(), 1u);
  EXPECT_THAT(problems(listing).front(),
              testing::EndsWith("label 3 (from 0), but there are 3 classes"));
}

TEST_F(TfrecordInputTest, brings_classes_into_the_order_of_another_list) {
  TfrecordOptions options;
  options.paths = {write(
      "a.tfrecord", framed({our_record("one", {0, 1}, "1.jpg"), our_record("two", {2}, "2.jpg")}))};
  options.class_names = {"cat", "dog", "cow"};
  const Listing listing = listed(options, LabelNames(ClassList{{"dog", "bird", "cat"}, "c.txt"}));
  EXPECT_THAT(pictures(listing), ElementsAre("1.jpg -> 0 2: one"));
  ASSERT_EQ(problems(listing).size(), 1u);
  EXPECT_THAT(problems(listing).front(), testing::EndsWith("class `cow` is not in c.txt"));
}

}  // namespace
}  // namespace bit::pipeline
