// safetensors: what is written is read, aligned and summed; anything that is not strictly a file of
// this kind is refused.
#include "storage/safetensors.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <stdexcept>

#include "storage/crc32c.h"
#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Shape = std::vector<std::int64_t>;

std::string with_header(const std::string& json, std::size_t data_bytes) {
  const std::uint64_t length = json.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + json +
         std::string(data_bytes, 'd');
}

std::string reason(const std::string& file) {
  return message_of<DataError>([&] { parse_safetensors(bytes_of(file)); });
}

class Safetensors : public ::testing::Test {
 protected:
  TensorView tensor(const std::string& name, DType dtype, Shape shape, std::size_t bytes) {
    return {name, dtype, std::move(shape), bytes_of(data_).first(bytes)};
  }
  test::TempDirectory directory_;
  std::string path_ = directory_ / "model.safetensors";
  const std::string data_ = "0123456789abcdefghijklmnopqrstuvwxyz";
  const std::vector<TensorView> tensors_ = {
      tensor("bytes", DType::kU8, {3}, 3),         tensor("a.weight", DType::kF32, {2, 3}, 24),
      tensor("half", DType::kBF16, {1, 1, 5}, 10), tensor("step", DType::kI64, {}, 8),
      tensor("none", DType::kF32, {0, 7}, 0),
  };
};

TEST_F(Safetensors, what_is_written_is_read) {
  write_safetensors(posix_file_system(), path_, tensors_, {{"format", "pt"}, {"quote", "\"\n"}});
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.metadata().at("quote"), "\"\n");
  EXPECT_EQ(file.tensors().size(), tensors_.size());
  for (const TensorView& expected : tensors_) {
    const TensorView* found = file.find(expected.name);
    ASSERT_NE(found, nullptr) << expected.name;
    EXPECT_EQ(found->dtype, expected.dtype);
    EXPECT_EQ(found->shape, expected.shape);
    EXPECT_EQ(text_of(found->bytes), text_of(expected.bytes));
  }
  EXPECT_EQ(file.find("other"), nullptr);
}

TEST_F(Safetensors, every_tensor_is_aligned_to_its_elements) {
  write_safetensors(posix_file_system(), path_, tensors_);
  const SafetensorsFile file(path_);
  for (const TensorView& found : file.tensors()) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(found.bytes.data()) % dtype_bytes(found.dtype), 0u);
  }
}

TEST_F(Safetensors, header_is_a_json_object_padded_with_spaces_to_eight_bytes) {
  write_safetensors(posix_file_system(), path_, tensors_);
  const std::string content = read_file(posix_file_system(), path_);
  std::uint64_t length = 0;
  std::memcpy(&length, content.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  EXPECT_EQ(content[8], '{');
  const std::string header = content.substr(8, length);
  EXPECT_EQ(header.find_last_not_of(' '), header.rfind('}'));
  EXPECT_THAT(header,
              HasSubstr(R"("a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]})"));
}

TEST_F(Safetensors, reports_sizes_offsets_and_checksums_of_what_was_written) {
  const auto written = write_safetensors(posix_file_system(), path_, tensors_);
  const std::string content = read_file(posix_file_system(), path_);
  EXPECT_EQ(written.bytes, content.size());
  EXPECT_EQ(written.crc32c, crc32c(bytes_of(content)));
  EXPECT_EQ(written.tensors.size(), tensors_.size());
  const SafetensorsFile file(path_);
  for (const WrittenTensor& tensor : written.tensors) {
    EXPECT_EQ(content.substr(tensor.offset, tensor.bytes), text_of(file.find(tensor.name)->bytes));
    EXPECT_EQ(tensor.crc32c, crc32c(file.find(tensor.name)->bytes));
  }
}

TEST_F(Safetensors, writer_refuses_contradictions) {
  const auto write = [&](std::vector<TensorView> tensors) {
    return message_of<std::invalid_argument>(
        [&] { write_safetensors(posix_file_system(), path_, tensors); });
  };
  EXPECT_THAT(write({tensors_[0], tensors_[0]}), HasSubstr("'bytes': the name is taken"));
  EXPECT_THAT(write({tensor("__metadata__", DType::kU8, {1}, 1)}), HasSubstr("taken"));
  EXPECT_THAT(write({tensor("t", DType::kF32, {2}, 4)}), HasSubstr("does not match"));
  EXPECT_THAT(write({tensor("t", DType::kF32, {-1}, 4)}), HasSubstr("does not match"));
  EXPECT_THAT(write({tensor("\xFF", DType::kU8, {1}, 1)}), HasSubstr("UTF-8"));
  EXPECT_FALSE(posix_file_system().exists(path_));
}

TEST_F(Safetensors, errors_name_the_file) {
  write_text(path_, "short");
  EXPECT_THAT(message_of<DataError>([&] { SafetensorsFile file(path_); }),
              HasSubstr(path_ + ": shorter than a header"));
  EXPECT_THROW(SafetensorsFile(directory_ / "missing"), StorageError);
}

TEST_F(Safetensors, a_file_cut_anywhere_is_refused) {
  write_safetensors(posix_file_system(), path_, tensors_);
  const std::string content = read_file(posix_file_system(), path_);
  for (std::size_t size = 0; size < content.size(); ++size) {
    EXPECT_THROW(parse_safetensors(bytes_of(content).first(size)), DataError) << size;
  }
  EXPECT_THAT(reason(content + "x"), HasSubstr("bytes after the last tensor"));
}

TEST(SafetensorsHeader, lengths_are_checked_before_they_are_believed) {
  EXPECT_EQ(reason(""), "shorter than a header");
  EXPECT_EQ(reason(std::string(8, '\xFF')), "the header is larger than 100 MB");
  EXPECT_EQ(reason(std::string("\x10\0\0\0\0\0\0\0{}", 10)), "the file ends inside the header");
}

TEST(SafetensorsHeader, must_be_a_json_object_from_the_first_byte) {
  EXPECT_EQ(reason(with_header("", 0)), "the header is not a JSON object");
  EXPECT_EQ(reason(with_header(" {}", 0)), "the header is not a JSON object");
  EXPECT_EQ(reason(with_header("[]", 0)), "the header is not a JSON object");
  EXPECT_EQ(reason(with_header("{\"a\":", 0)), "the header is not JSON");
  EXPECT_EQ(reason(with_header("{} x", 0)), "the header is not JSON");
  EXPECT_EQ(reason(with_header("{\"\xFF\":1}", 0)), "the header is not JSON");
  EXPECT_TRUE(parse_safetensors(bytes_of(with_header("{}   ", 0))).tensors.empty());
}

TEST(SafetensorsHeader, deep_nesting_is_refused_at_once) {
  EXPECT_EQ(reason(with_header("{\"a\":" + std::string(100'000, '['), 0)),
            "the header nests too deep");
}

TEST(SafetensorsHeader, entries_hold_type_shape_and_offsets_and_nothing_else) {
  const auto entry = [](const std::string& content) {
    return reason(with_header("{\"t\":" + content + "}", 4));
  };
  EXPECT_THAT(entry("1"), HasSubstr("tensor 't': needs dtype, shape and data_offsets"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[1]})"), HasSubstr("needs"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1})"),
              HasSubstr("nothing else"));
  EXPECT_THAT(entry(R"({"dtype":1,"shape":[1],"data_offsets":[0,4]})"), HasSubstr("wrong kind"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})"), HasSubstr("wrong kind"));
  EXPECT_THAT(entry(R"({"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,4]})"),
              HasSubstr("type F8_E4M3 is not supported"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"),
              HasSubstr("not a whole one"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})"),
              HasSubstr("not a whole one"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"),
              HasSubstr("does not match"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})"), HasSubstr("outside"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})"), HasSubstr("outside"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]})"),
              HasSubstr("overflows"));
  EXPECT_THAT(entry(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})"),
              HasSubstr("overflows"));
}

TEST(SafetensorsHeader, tensors_neither_overlap_nor_leave_holes) {
  const auto two = [](const std::string& first, const std::string& second) {
    return reason(with_header(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + first +
                                  R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second +
                                  "}}",
                              9));
  };
  EXPECT_THAT(two("[0,4]", "[3,7]"), HasSubstr("tensor 'b': overlaps another"));
  EXPECT_THAT(two("[0,4]", "[0,4]"), HasSubstr("overlaps another"));
  EXPECT_THAT(two("[0,4]", "[5,9]"), HasSubstr("tensor 'b': there is a hole before it"));
  EXPECT_THAT(two("[5,9]", "[1,5]"), HasSubstr("tensor 'b': there is a hole before it"));
  EXPECT_THAT(two("[0,4]", "[4,8]"), HasSubstr("bytes after the last tensor"));
}

TEST(SafetensorsHeader, names_occur_once) {
  const std::string entry = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_EQ(reason(with_header("{\"t\":" + entry + ",\"t\":" + entry + "}", 0)),
            "the header has 't' twice");
  EXPECT_EQ(reason(with_header(
                R"({"t":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0)),
            "the header has 'dtype' twice");
  EXPECT_NO_THROW(
      parse_safetensors(bytes_of(with_header("{\"t\":" + entry + ",\"u\":" + entry + "}", 0))));
}

TEST(SafetensorsHeader, metadata_is_text_only) {
  EXPECT_THAT(reason(with_header(R"({"__metadata__":1})", 0)), HasSubstr("not an object"));
  EXPECT_THAT(reason(with_header(R"({"__metadata__":{"a":1}})", 0)), HasSubstr("than text"));
}

RC_GTEST_PROP(SafetensorsProperty, any_tensors_come_back_bit_for_bit, ()) {
  const auto sizes = *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange(0u, 20u));
  std::vector<std::string> data;
  std::vector<TensorView> tensors;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto dtype = static_cast<DType>(*rc::gen::inRange(0, 7));
    data.emplace_back(sizes[i] * 3 * dtype_bytes(dtype), static_cast<char>('a' + i % 26));
    tensors.push_back({"t" + std::to_string(i), dtype, {3, sizes[i]}, {}});
  }
  for (std::size_t i = 0; i < data.size(); ++i) tensors[i].bytes = bytes_of(data[i]);
  const test::TempDirectory directory;
  write_safetensors(posix_file_system(), directory / "file", tensors);
  const SafetensorsFile file(directory / "file");
  RC_ASSERT(file.tensors().size() == tensors.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    const TensorView* found = file.find(tensors[i].name);
    RC_ASSERT(found != nullptr);
    RC_ASSERT(found->shape == tensors[i].shape);
    RC_ASSERT(text_of(found->bytes) == data[i]);
  }
}

}  // namespace
}  // namespace bit::storage
