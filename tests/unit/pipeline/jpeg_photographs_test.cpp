// Photographs as they come: StripDecoder alone against libjpeg-turbo's decoding of the whole, as
// the files are and as conversion makes them. Where BIT_DATA names the folder that has them, those
// of ImageNet as well.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "pipeline/convert/jpeg_transcode.h"
#include "storage/file.h"
#include "storage/tar.h"
#include "tests/support/process.h"
#include "tests/unit/pipeline/jpeg_strip_forms.h"

namespace bit::pipeline {
namespace {

namespace fs = std::filesystem;

class Comparison {
 public:
  int files = 0, crops = 0, left_to_libjpeg = 0;

  void add(const std::string& name, std::span<const std::byte> jpeg, std::uint32_t crops_of_each) {
    ++files;
    const RgbImage whole = decode_full(libjpeg_, jpeg);
    for (std::uint32_t i = 0; i < crops_of_each; ++i) {
      const CropBox crop = any_crop(random_, whole.width, whole.height);
      const auto strip = decode_strip(strip_, jpeg, crop);
      if (!strip.has_value()) {
        ++left_to_libjpeg;
        return;
      }
      ++crops;
      ASSERT_TRUE(*strip == cut(whole, crop)) << name << ", " << text(crop);
    }
  }

 private:
  std::mt19937 random_{5};
  StripDecoder strip_;
  JpegDecoder libjpeg_{JpegMethod::kLibjpeg};
};

TEST(StripDecoder, gives_libjpegs_pixels_for_the_bundled_photographs) {
  const auto tar = storage::posix_file_system().open(BIT_SOURCE_DIR "/examples/clothing-72.tar");
  storage::TarReader reader(*tar);
  Comparison original, transcoded;
  while (const auto member = reader.next()) {
    if (!member->name.ends_with(".jpg")) continue;
    std::vector<std::byte> jpeg(member->bytes);
    tar->read_at(member->offset, jpeg);
    original.add(member->name, jpeg, 4);
    transcoded.add(member->name, transcode_jpeg(jpeg, {}), 4);
  }
  EXPECT_EQ(original.files, 3781);
  EXPECT_EQ(original.left_to_libjpeg, 0);
  EXPECT_EQ(transcoded.left_to_libjpeg, 0);
}

// 500 of ImageNet's.
TEST(StripDecoder, gives_libjpegs_pixels_for_the_photographs_of_BIT_DATA) {
  const char* data = std::getenv("BIT_DATA");
  if (data == nullptr || !fs::exists(std::string(data) + "/imagenet-sample.tar.zst")) return;
  const test::TempDirectory directory;
  const auto unpacked =
      test::run_process({"tar", "-I", "zstd", "-xf", std::string(data) + "/imagenet-sample.tar.zst",
                         "-C", directory.path()});
  ASSERT_EQ(unpacked.exit_code, 0) << unpacked.err;
  Comparison original, transcoded;
  for (const auto& entry : fs::recursive_directory_iterator(directory.path())) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto jpeg = std::as_bytes(std::span(text));
    original.add(entry.path(), jpeg, 20);
    transcoded.add(entry.path(), transcode_jpeg(jpeg, {}), 20);
  }
  for (const Comparison* c : {&original, &transcoded}) {
    std::printf("%d files, %d crops alike, %d files left to libjpeg\n", c->files, c->crops,
                c->left_to_libjpeg);
  }
  EXPECT_EQ(original.files, 500);
}

}  // namespace
}  // namespace bit::pipeline
