// The text of MANIFEST: readable, checksummed, and strict about what it lists.
#include "storage/checkpoint_manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST(CheckpointManifest, text_is_for_people_and_comes_back_equal) {
  schemas::CheckpointManifest manifest;
  manifest.set_step(5);
  auto& part = *manifest.add_parts();
  part.set_file("part-00000-of-00001.safetensors");
  part.set_bytes(8);
  part.set_crc32c(1);
  const std::string text = print_manifest(manifest);
  EXPECT_THAT(text, HasSubstr("step: 5\n"));
  EXPECT_EQ(parse_manifest(text).SerializeAsString(), manifest.SerializeAsString());
}

TEST(CheckpointManifest, what_cannot_be_a_manifest_is_refused_with_the_reason) {
  const auto reason = [](const auto& change) {
    schemas::CheckpointManifest manifest;
    manifest.set_step(5);
    for (const char* name : {"a", "b"}) {
      auto& part = *manifest.add_parts();
      part.set_file(name);
      part.set_bytes(8);
      part.set_crc32c(1);
    }
    change(manifest);
    try {
      parse_manifest(print_manifest(manifest));
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(reason([](auto&) {}), IsEmpty());
  EXPECT_THAT(reason([](auto& m) { m.set_format(2); }), HasSubstr("layout is version 2"));
  EXPECT_THAT(reason([](auto& m) { m.clear_step(); }), HasSubstr("no step"));
  EXPECT_THAT(reason([](auto& m) { m.clear_parts(); }), HasSubstr("no parts"));
  EXPECT_THAT(reason([](auto& m) { m.mutable_parts(0)->set_file("b"); }), HasSubstr("b twice"));
  EXPECT_THAT(reason([](auto& m) { m.mutable_parts(0)->set_file("../b"); }), HasSubstr("'../b'"));
  EXPECT_THAT(reason([](auto& m) { m.mutable_parts(0)->clear_crc32c(); }), HasSubstr("checksum"));
}

}  // namespace
}  // namespace bit::storage
