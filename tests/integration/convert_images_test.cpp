// Every kind of image through bit-shard convert: what the records show, and what is said of images
// that cannot be used. JPEGs that any reader decodes keep every pixel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "pipeline/jpeg.h"
#include "tests/integration/convert_support.h"
#include "tests/integration/run_support.h"
#include "tests/support/exif_segment.h"
#include "tests/support/image_writers.h"
#include "tests/support/jpeg_writer.h"
#include "tests/support/tar_writer.h"

namespace bit::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

pipeline::RgbImage decode(std::span<const std::byte> jpeg) {
  pipeline::JpegDecoder decoder;
  decoder.open(jpeg);
  return decoder.decode_full();
}

class ConvertImages : public testing::Test {
 protected:
  void put(const std::string& name, const Bytes& bytes) const {
    write_file(directory_ / ("in/" + name), bytes);
  }
  // The reason in quarantine.jsonl of each image of the class.
  std::map<std::string, std::string> quarantine() const {
    std::map<std::string, std::string> reasons;
    for (const auto& line : json_lines(directory_ / "data/quarantine.jsonl")) {
      EXPECT_EQ(line.at("split"), "train");
      reasons[fs::path(line.at("path").get<std::string>()).filename()] = line.at("reason");
    }
    return reasons;
  }

  TempDirectory directory_;
};

// Mean difference of two pictures.
double difference(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) sum += std::abs(a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

// [height, width, channels] without noise, so that a JPEG shows it as it is.
std::vector<std::uint8_t> gradient(std::uint32_t width, std::uint32_t height, int channels) {
  std::vector<std::uint8_t> pixels;
  for (std::uint32_t y = 0; y < height; ++y) {
    for (std::uint32_t x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c)
        pixels.push_back(static_cast<std::uint8_t>(40 + 2 * x + (c == 1 ? y : 0)));
    }
  }
  return pixels;
}

Bytes png(std::span<const std::uint8_t> samples, PngColour colour, int bits = 8) {
  std::vector<std::uint16_t> wide(samples.begin(), samples.end());
  // 0xAB becomes 0xAB37: the high byte is what counts.
  if (bits == 16) {
    for (auto& sample : wide) sample = static_cast<std::uint16_t>(sample << 8 | 0x37);
  }
  return write_png(wide, 40, 30, {.colour = colour, .bits = bits});
}

TEST_F(ConvertImages, of_every_kind_become_jpegs_of_their_size_and_colours) {
  const auto colour = gradient(40, 30, 3), grey = gradient(40, 30, 1);
  std::vector<std::uint8_t> grey_alpha, rgba, grey_as_rgb, bgr, ink;
  for (std::size_t i = 0; i < grey.size(); ++i) {
    grey_alpha.insert(grey_alpha.end(), {grey[i], 99});
    grey_as_rgb.insert(grey_as_rgb.end(), 3, grey[i]);
    for (std::size_t c = 0; c < 3; ++c) rgba.push_back(colour[3 * i + c]);
    rgba.push_back(static_cast<std::uint8_t>(i));
    for (std::size_t c = 0; c < 3; ++c) bgr.push_back(colour[3 * i + 2 - c]);
    // With Adobe's marker the ink is stored inverted: 255 is none.
    for (std::size_t c = 0; c < 3; ++c) ink.push_back(colour[3 * i + c]);
    ink.push_back(255);
  }
  std::vector<Rgb> palette(256);
  for (std::size_t i = 0; i < 256; ++i) palette[i].fill(static_cast<std::uint8_t>(i));
  const auto baseline = write_jpeg(colour, 40, 30);

  struct Kind {
    std::string name;
    Bytes file;
    std::vector<std::uint8_t> pixels;
  };
  const std::vector<Kind> kinds = {
      {"baseline.jpg", baseline, colour},
      {"progressive.jpg", write_jpeg(colour, 40, 30, {.progressive = true}), colour},
      {"arithmetic.jpg", write_jpeg(colour, 40, 30, {.arithmetic = true}), colour},
      {"grey.jpg", write_jpeg(grey, 40, 30, {.components = 1}), grey_as_rgb},
      {"cmyk.jpg", write_jpeg(ink, 40, 30, {.components = 4}), colour},
      {"ycck.jpg", write_jpeg(ink, 40, 30, {.components = 4, .ycck = true}), colour},
      {"turned.jpg", with_segment(baseline, exif_segment(6)), colour},
      {"colour.png", png(colour, PngColour::kRgb), colour},
      {"a PNG.JPEG", png(colour, PngColour::kRgb), colour},
      {"16 bits.png", png(colour, PngColour::kRgb, 16), colour},
      {"grey.png", png(grey, PngColour::kGrey), grey_as_rgb},
      {"grey with alpha.png", png(grey_alpha, PngColour::kGreyAlpha), grey_as_rgb},
      {"alpha.png", png(rgba, PngColour::kRgba), colour},
      {"lossy.webp", write_webp(colour, 40, 30, false), colour},
      {"lossless.webp", write_webp(colour, 40, 30, true), colour},
      {"colour.bmp", write_bmp(bgr, 40, 30, {.top_down = true}), colour},
      {"first frame.gif", write_gif(grey, 40, 30, {.palette = palette}), grey_as_rgb}};
  for (const auto& kind : kinds) put("kinds/" + kind.name, kind.file);

  ConvertCommand command{directory_ / "in", directory_ / "data"};
  ASSERT_EQ(command.go().exit_code, 0);
  EXPECT_FALSE(fs::exists(command.output + "/quarantine.jsonl"));
  const auto records = records_in(command.output);
  EXPECT_EQ(records.size(), kinds.size());
  for (const auto& kind : kinds) {
    const auto& record = records.at("kinds/" + kind.name);
    EXPECT_EQ(record.width, 40u) << kind.name;
    EXPECT_EQ(record.height, 30u) << kind.name;
    const auto image = decode(record.image);
    EXPECT_EQ(image.width, 40u) << kind.name;
    EXPECT_LT(difference(image.pixels, kind.pixels), 2.5) << kind.name;
  }
  // What was a JPEG of grey or colour is still the very same picture.
  for (const char* name :
       {"baseline.jpg", "progressive.jpg", "arithmetic.jpg", "grey.jpg", "turned.jpg"}) {
    EXPECT_EQ(decode(records.at("kinds/" + std::string(name)).image).pixels,
              decode(std::ranges::find(kinds, name, &Kind::name)->file).pixels)
        << name;
  }
  command.output = directory_ / "upright";
  command.more = {"--exif", "apply"};
  ASSERT_EQ(command.go().exit_code, 0);
  EXPECT_EQ(records_in(command.output).at("kinds/turned.jpg").width, 30u);
  EXPECT_EQ(records_in(command.output).at("kinds/turned.jpg").height, 40u);
}

TEST_F(ConvertImages, that_cannot_be_used_are_named_with_the_reason_and_counted) {
  const auto colour = gradient(40, 30, 3);
  const auto cut = [](Bytes file) {
    file.resize(file.size() * 2 / 3);
    return file;
  };
  const std::vector<std::pair<std::string, Bytes>> bad = {
      {"cut.jpg", cut(write_jpeg(test_picture(40, 30), 40, 30))},
      {"cut progressive.jpg", cut(write_jpeg(test_picture(40, 30), 40, 30, {.progressive = true}))},
      {"cut.png", cut(png(test_picture(40, 30), PngColour::kRgb))},
      {"cut.webp", cut(write_webp(test_picture(40, 30), 40, 30, true))},
      {"cut.bmp", cut(write_bmp(test_picture(40, 30), 40, 30, {}))},
      {"garbage.jpg", Bytes(1000, std::byte{0x5A})},
      {"empty.jpg", {}}};
  for (const auto& [name, file] : bad) put("class/" + name, file);
  put("class/good.jpg", write_jpeg(colour, 40, 30));
  fs::create_symlink(directory_ / "nowhere", directory_ / "in/class/dangling.jpg");

  ConvertCommand command{directory_ / "in", directory_ / "data", {"--max-bad", "7"}};
  const auto refused = command.go();
  EXPECT_EQ(refused.exit_code, 65);
  EXPECT_THAT(refused.err, HasSubstr("8 of 9 images cannot be used, and --max-bad is 7"));
  EXPECT_FALSE(fs::exists(command.output + "/dataset.json"));
  EXPECT_EQ(quarantine().size(), 8u);

  command.more = {"--max-bad", "8"};
  const auto accepted = command.go();
  EXPECT_EQ(accepted.exit_code, 0) << accepted.err;
  EXPECT_THAT(accepted.out, HasSubstr("train: 1 records, "));
  EXPECT_THAT(accepted.out, HasSubstr("(8 left out)"));
  EXPECT_EQ(records_in(command.output).size(), 1u);
  EXPECT_THAT(
      quarantine(),
      testing::UnorderedElementsAre(
          testing::Pair("cut.jpg", "Premature end of JPEG file"),
          testing::Pair("cut progressive.jpg", "Premature end of JPEG file"),
          testing::Pair("cut.png", HasSubstr("PNG: the data ends inside the image")),
          testing::Pair("cut.webp", testing::StartsWith("WebP: ")),
          testing::Pair("cut.bmp", "BMP: the data ends inside the image"),
          testing::Pair("garbage.jpg", "not an image of a known kind (JPEG, PNG, WebP, BMP, GIF)"),
          testing::Pair("empty.jpg", "an empty file"),
          testing::Pair("dangling.jpg", "No such file or directory")));
}

// Converts a folder of class folders and compares every pixel of every image.
void expect_same_pixels(const std::string& input, const std::string& output, std::size_t images) {
  const auto result = ConvertCommand{input, output, {"--shards", "4"}}.go();
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto records = records_in(output);
  EXPECT_EQ(records.size(), images);
  std::size_t different = 0;
  for (const auto& [key, record] : records) {
    const std::string file = file_bytes(input + "/" + key);
    const auto before = decode(std::as_bytes(std::span(file)));
    const auto after = decode(record.image);
    EXPECT_EQ(before.width, after.width) << key;
    EXPECT_EQ(before.height, after.height) << key;
    EXPECT_TRUE(before.pixels == after.pixels) << key;
    different += as_text(record.image) != file ? 1 : 0;
  }
  EXPECT_GT(different, images / 2) << "the files were only copied";
}

TEST(ConvertPhotographs, keep_every_pixel) {
  const TempDirectory directory;
  struct Source {
    std::vector<std::string> unpack;
    std::string folder;
    std::size_t images;
  };
  std::vector<Source> sources = {
      {{"tar", "-xf", BIT_SOURCE_DIRECTORY "/examples/clothing-72.tar"}, "clothing-72/train", 3068},
      {{}, "clothing-72/validation", 341},
      {{}, "clothing-72/test", 372}};
  const std::string directory_of_imagenet = directory / "imagenet";
  // The 500 of ImageNet as well, where BIT_DATA names the folder that has them.
  const char* data = std::getenv("BIT_DATA");
  if (data != nullptr && fs::exists(std::string(data) + "/imagenet-sample.tar.zst")) {
    fs::create_directory(directory_of_imagenet);
    sources.push_back({{"tar", "-I", "zstd", "-xf", std::string(data) + "/imagenet-sample.tar.zst",
                        "-C", directory_of_imagenet},
                       "imagenet",
                       500});
  }
  for (const auto& source : sources) {
    if (!source.unpack.empty()) {
      const auto unpacked = run_process(source.unpack, {}, directory.path());
      ASSERT_EQ(unpacked.exit_code, 0) << unpacked.err;
    }
    expect_same_pixels(directory / source.folder, directory / (source.folder + "-data"),
                       source.images);
  }
}

}  // namespace
}  // namespace bit::test
