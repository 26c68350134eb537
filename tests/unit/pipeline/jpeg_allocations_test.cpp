// What decoding takes from the heap: nothing, once it has seen images of the kind; and what becomes
// of an image when the heap has no more.
#include <gtest/gtest.h>

#include <cstdio>
// After cstdio.
#include <jpeglib.h>

#include <cstdlib>
#include <new>
#include <span>
#include <vector>

#include "pipeline/jpeg.h"
#include "tests/unit/pipeline/heap_watch.h"
#include "tests/unit/pipeline/jpeg_forms.h"

namespace bit::pipeline {
namespace {

using test::heap_allocations;
using test::HeapLimit;

constexpr std::uint32_t kSize = 32;

// A crop of more than half of the image, in both directions; mirrored.
void decode_part(JpegDecoder& decoder, std::span<const std::byte> jpeg, std::span<std::uint8_t> out,
                 std::uint32_t shrink = 1) {
  const ImageSize size = decoder.open(jpeg);
  ImagePlan plan{{size.width / 5, size.height / 4, size.width * 3 / 5, size.height * 2 / 3},
                 kSize,
                 kSize,
                 0,
                 0,
                 true};
  plan.shrink = shrink;
  decoder.decode(plan, kSize, out);
}

std::vector<std::vector<std::byte>> files_of_all_forms() {
  std::vector<std::vector<std::byte>> files;
  for (const Form& form : kForms) {
    files.push_back(picture_file(203, 150, form.options));
    files.push_back(picture_file(640, 480, form.options));
    files.push_back(picture_file(31, 77, form.options));
  }
  return files;
}

TEST(HeapWatch, counts_every_way_of_taking_memory) {
  const auto taken = [](auto take) {
    const std::size_t before = heap_allocations();
    take();
    return heap_allocations() - before;
  };
  // Functions are called through pointers that the compiler does not see through: it leaves out
  // what is taken and given back unused.
  void* (*volatile plain)(std::size_t) = std::malloc;
  void* (*volatile zeroed)(std::size_t, std::size_t) = std::calloc;
  void* (*volatile resized)(void*, std::size_t) = std::realloc;
  void* (*volatile by_new)(std::size_t) = ::operator new;
  void* (*volatile aligned)(std::size_t, std::align_val_t) = ::operator new;
  EXPECT_EQ(taken([&] { std::free(resized(plain(10), 1000)); }), 2U);
  EXPECT_EQ(taken([&] { std::free(zeroed(3, 5)); }), 1U);
  EXPECT_EQ(taken([&] { ::operator delete(by_new(10)); }), 1U);
  EXPECT_EQ(
      taken([&] { ::operator delete (aligned(64, std::align_val_t{64}), std::align_val_t{64}); }),
      1U);
  EXPECT_EQ(taken([] {}), 0U);
  // libjpeg's own: one for the manager and at least one for its pool.
  EXPECT_GE(taken([] {
              jpeg_decompress_struct info{};
              jpeg_error_mgr errors{};
              info.err = jpeg_std_error(&errors);
              jpeg_create_decompress(&info);
              jpeg_destroy_decompress(&info);
            }),
            2U);
}

class AllocationsOfJpeg : public testing::TestWithParam<JpegMethod> {};

INSTANTIATE_TEST_SUITE_P(Jpeg, AllocationsOfJpeg,
                         testing::Values(JpegMethod::kFastest, JpegMethod::kLibjpeg),
                         [](const auto& method) {
                           return method.param == JpegMethod::kFastest ? "fastest" : "libjpeg";
                         });

TEST_P(AllocationsOfJpeg, are_none_after_a_warm_up) {
  const auto files = files_of_all_forms();
  JpegDecoder decoder(GetParam());
  Bytes out(std::size_t{kSize} * kSize * 3);
  for (const std::uint32_t shrink : {1U, 2U, 4U}) {
    for (const auto& jpeg : files) decode_part(decoder, jpeg, out, shrink);
  }
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      const std::size_t index = round % 2 == 0 ? files.size() - 1 - i : i;
      const std::size_t before = heap_allocations();
      decode_part(decoder, files[index], out, 1U << round);
      const std::size_t taken = heap_allocations() - before;
      EXPECT_EQ(taken, 0U) << kForms[index / 3].name << ", round " << round;
    }
  }
}

// What is not to be called a damaged file.
TEST_P(AllocationsOfJpeg, that_fail_are_out_of_memory_and_leave_a_good_decoder) {
  const auto small = picture_file(60, 50, progressive(with(3, 2, 2)));
  const auto large = picture_file(1000, 1000, progressive(with(3, 1, 1)));
  Bytes expected(std::size_t{kSize} * kSize * 3), out(expected.size());
  JpegDecoder fresh(GetParam()), decoder(GetParam());
  decode_part(fresh, large, expected);
  for (const std::size_t bytes : {100'000U, 300'000U, 1'000'000U}) {
    {
      const HeapLimit limit(bytes);
      EXPECT_THROW(decode_part(decoder, large, out), std::bad_alloc) << bytes;
    }
    decode_part(decoder, small, out);
  }
  decode_part(decoder, large, out);
  EXPECT_EQ(out, expected);
}

}  // namespace
}  // namespace bit::pipeline
