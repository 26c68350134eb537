// A decoder that has been through other images, good and bad, against one that is new.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "pipeline/jpeg.h"
#include "tests/unit/pipeline/jpeg_forms.h"

namespace bit::pipeline {
namespace {

enum class Change { kNone, kCutShort, kFlippedBit, kNoHuffmanTables, kNoQuantisationTables };

struct Image {
  Form form;
  std::uint32_t width = 1, height = 1, side = 1;  // the crop is a square in the middle
  std::uint32_t shrink = 1;
  Change change = Change::kNone;
  std::uint32_t where = 0;  // of the change, in thousandths of the file
  std::vector<std::byte> jpeg;
};

std::ostream& operator<<(std::ostream& out, const Image& image) {
  return out << image.form.name << " " << image.width << "x" << image.height << ", crop "
             << image.side << ", shrink " << image.shrink << ", change "
             << static_cast<int>(image.change) << " at " << image.where;
}

std::vector<std::byte> changed(std::vector<std::byte> jpeg, Change change, std::uint32_t where) {
  const std::size_t at = jpeg.size() * where / 1000;
  switch (change) {
    case Change::kCutShort:
      jpeg.resize(at);
      break;
    case Change::kFlippedBit:
      jpeg[at] ^= static_cast<std::byte>(1U << where % 8);
      break;
    case Change::kNoHuffmanTables:
      return without_segments(jpeg, kHuffmanTables);
    case Change::kNoQuantisationTables:
      return without_segments(jpeg, kQuantisationTables);
    case Change::kNone:
      break;
  }
  return jpeg;
}

Image any_image() {
  Image image;
  image.form = *rc::gen::elementOf(std::vector<Form>(std::begin(kForms), std::end(kForms)));
  image.width = *rc::gen::inRange<std::uint32_t>(1, 120);
  image.height = *rc::gen::inRange<std::uint32_t>(1, 120);
  image.side = *rc::gen::inRange<std::uint32_t>(1, std::min(image.width, image.height) + 1);
  image.shrink = *rc::gen::element(1U, 2U, 4U);
  image.change = *rc::gen::weightedElement<Change>({{3, Change::kNone},
                                                    {1, Change::kCutShort},
                                                    {2, Change::kFlippedBit},
                                                    {2, Change::kNoHuffmanTables},
                                                    {2, Change::kNoQuantisationTables}});
  image.where = *rc::gen::inRange<std::uint32_t>(0, 1000);
  image.jpeg = changed(picture_file(image.width, image.height, image.form.options), image.change,
                       image.where);
  return image;
}

// The pixels, or why there are none. A flipped bit may change the size, so the crop is cut to it.
struct Outcome {
  Bytes pixels;
  std::string error;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome(JpegDecoder& decoder, const Image& image) {
  try {
    const ImageSize size = decoder.open(image.jpeg);
    if (std::uint64_t{size.width} * size.height > 1U << 20) return {{}, "large"};
    const std::uint32_t side = std::min({image.side, size.width, size.height});
    const CropBox crop{(size.width - side) / 2, (size.height - side) / 2, side, side};
    Outcome result{Bytes(std::size_t{side} * side * 3), ""};
    ImagePlan plan{crop, side, side, 0, 0, false};
    plan.shrink = image.shrink;
    decoder.decode(plan, side, result.pixels);
    return result;
  } catch (const storage::DataError& error) {
    return {{}, error.what()};
  }
}

RC_GTEST_PROP(ReusedJpegDecoder, gives_and_refuses_what_a_new_one_does, ()) {
  const auto method = *rc::gen::element(JpegMethod::kFastest, JpegMethod::kLibjpeg);
  JpegDecoder reused(method);
  for (int i = 0; i < 6; ++i) {
    const Image image = any_image();
    RC_LOG() << image << "\n";
    JpegDecoder fresh(method);
    const Outcome expected = outcome(fresh, image);
    RC_ASSERT(outcome(reused, image) == expected);
  }
}

// Each form after each other one, so that no pair is left to chance.
TEST(ReusedJpegDecoder, decodes_every_form_after_every_other) {
  std::vector<std::vector<std::byte>> files;
  std::vector<RgbImage> expected;
  for (const Form& form : kForms) {
    JpegDecoder fresh(JpegMethod::kLibjpeg);
    files.push_back(picture_file(50, 41, form.options));
    expected.push_back(decode_full(fresh, files.back()));
  }
  JpegDecoder reused(JpegMethod::kLibjpeg);
  for (std::size_t before = 0; before < files.size(); ++before) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      decode_full(reused, files[before]);
      ASSERT_EQ(decode_full(reused, files[i]).pixels, expected[i].pixels)
          << kForms[i].name << " after " << kForms[before].name;
    }
  }
}

}  // namespace
}  // namespace bit::pipeline
