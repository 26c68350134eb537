// .npz: what is written is read, here and by numpy's rules; 64-bit archives without their bytes on
// disk; damage is found and named. What strangers write is in tests/data/npz and tests/oracle.
#include "storage/npz.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include "storage/npy.h"
#include "tests/unit/storage/storage_test_helpers.h"

namespace bit::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Shape = std::vector<std::int64_t>;

template <typename T>
TensorView view(const std::string& name, DType dtype, Shape shape, const std::vector<T>& values) {
  return {name, dtype, std::move(shape), std::as_bytes(std::span(values))};
}

template <typename T>
std::vector<T> read(const NpzFile& file, const std::string& name) {
  const NpzArray* array = file.find(name);
  if (array == nullptr) throw std::runtime_error("no array " + name);
  std::vector<T> values(array->bytes / sizeof(T));
  file.read(*array, std::as_writable_bytes(std::span(values)));
  return values;
}

class Npz : public ::testing::Test {
 protected:
  void write(const std::vector<TensorView>& arrays) {
    const auto file = posix_file_system().create(path_);
    NpzWriter writer(*file);
    for (const TensorView& array : arrays) writer.add(array);
    writer.finish();
    file->close();
  }
  std::string content() const { return read_file(posix_file_system(), path_); }

  test::TempDirectory directory_;
  std::string path_ = directory_ / "weights.npz";
  const std::vector<float> six_ = {0, 1, 2, 3, 4, 5};
};

TEST_F(Npz, what_is_written_is_read) {
  const std::vector<double> wide = {0.5, -0.25};
  const std::vector<double> one = {0.1};
  const std::vector<float> none;
  write({view("root/kernel", DType::kF32, {1, 2, 3}, six_), view("scalar", DType::kF64, {}, one),
         view("vector", DType::kF64, {2}, wide), view("none", DType::kF32, {0, 7}, none)});
  const NpzFile file(path_);
  ASSERT_EQ(file.arrays().size(), 4u);
  EXPECT_EQ(file.arrays()[0].name, "root/kernel");
  EXPECT_EQ(file.arrays()[0].shape, (Shape{1, 2, 3}));
  EXPECT_EQ(file.arrays()[0].type, "<f4");
  EXPECT_EQ(file.arrays()[1].shape, Shape{});
  EXPECT_EQ(file.arrays()[2].shape, Shape{2});
  EXPECT_EQ(read<float>(file, "root/kernel"), six_);
  EXPECT_EQ(read<double>(file, "scalar"), std::vector<double>{0.1});
  EXPECT_EQ(read<double>(file, "vector"), wide);
  EXPECT_EQ(file.find("root"), nullptr);
}

RC_GTEST_PROP(NpzProperty, any_array_comes_back, (const std::vector<std::uint8_t>& values)) {
  const test::TempDirectory directory;
  const std::string path = directory / "a.npz";
  const auto file = posix_file_system().create(path);
  NpzWriter writer(*file);
  writer.add(view("a", DType::kU8, {static_cast<std::int64_t>(values.size()), 1}, values));
  writer.finish();
  file->close();
  RC_ASSERT(read<std::uint8_t>(NpzFile(path), "a") == values);
}

TEST_F(Npz, elements_begin_at_a_multiple_of_64_bytes_of_their_npy) {
  for (const Shape& shape : {Shape{}, Shape{6}, Shape{2, 3}, Shape(60, 1), Shape{1000000000, 7}}) {
    const std::string header = make_npy_header(DType::kF32, shape);
    EXPECT_EQ(header.size() % 64, 0u);
    EXPECT_EQ(header.back(), '\n');
    const NpyHeader parsed = parse_npy_header(bytes_of(header));
    EXPECT_EQ(parsed.shape, shape);
    EXPECT_EQ(parsed.bytes, header.size());
    EXPECT_FALSE(parsed.fortran_order);
  }
  EXPECT_THAT(make_npy_header(DType::kF32, Shape{6}), HasSubstr("'shape': (6,), }"));
}

TEST_F(Npz, the_same_arrays_give_the_same_bytes) {
  write({view("a", DType::kF32, {2, 3}, six_)});
  const std::string first = content();
  write({view("a", DType::kF32, {2, 3}, six_)});
  EXPECT_EQ(content(), first);
  EXPECT_EQ(first.find("PK\6\6"), std::string::npos) << "64-bit fields that nothing needs";
}

TEST_F(Npz, arrays_in_fortran_order_are_read_in_row_major_order) {
  const NpzFile file(BIT_SOURCE_DIR "/tests/data/npz/good_fortran_order");
  EXPECT_TRUE(file.arrays()[0].fortran_order);
  EXPECT_EQ(read<float>(file, "a"), six_);
}

TEST_F(Npz, arrays_that_other_programs_write_are_read) {
  for (const char* sample :
       {"good_numpy_stored", "good_numpy_deflated", "good_version_2", "good_version_3",
        "good_comment", "good_data_descriptors", "good_zip64_local", "good_zip64_everywhere",
        "good_python_2_shape", "good_deflated_by_hand", "good_types"}) {
    const NpzFile file(std::string(BIT_SOURCE_DIR "/tests/data/npz/") + sample);
    EXPECT_EQ(read<float>(file, "a"), six_) << sample;
    EXPECT_EQ(file.find("a")->shape, (Shape{2, 3})) << sample;
  }
}

TEST_F(Npz, a_type_that_is_not_read_is_listed_and_named) {
  const NpzFile file(BIT_SOURCE_DIR "/tests/data/npz/bad_type_big_endian");
  EXPECT_EQ(file.arrays()[0].type, ">f4");
  EXPECT_THAT(message_of<DataError>([&] { read<float>(file, "a"); }),
              HasSubstr("array 'a': type >f4 is not supported"));
}

TEST_F(Npz, every_flipped_byte_of_an_array_is_found) {
  write({view("a", DType::kF32, {2, 3}, six_)});
  const std::string good = content();
  const std::size_t begin = good.find("\x93NUMPY");
  for (std::size_t i = begin; i < begin + 128 + 24; ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    write_text(path_, bad);
    EXPECT_THROW(
        {
          const NpzFile file(path_);
          read<float>(file, "a");
        },
        DataError)
        << i;
  }
}

TEST_F(Npz, every_cut_is_found) {
  write({view("a", DType::kF32, {2, 3}, six_)});
  const std::string good = content();
  for (std::size_t bytes = 0; bytes < good.size(); ++bytes) {
    EXPECT_THROW(parse_npz(bytes_of(good).first(bytes)), DataError) << bytes;
  }
}

TEST_F(Npz, names_and_shapes_that_cannot_be_are_refused) {
  const auto file = posix_file_system().create(path_);
  NpzWriter writer(*file);
  writer.add(view("a", DType::kF32, {6}, six_));
  EXPECT_THROW(writer.add(view("a", DType::kF32, {6}, six_)), std::invalid_argument);
  EXPECT_THROW(writer.add(view("b", DType::kF32, {7}, six_)), std::invalid_argument);
  EXPECT_THAT(message_of<DataError>([&] { NpzFile(BIT_SOURCE_DIR "/tests/data/npz/bad_pickle"); }),
              HasSubstr("this is a PyTorch file, which is not read"));
}

// Leaves holes for what it is given of zeros, so that archives above 4 GiB cost no disk.
class SparseFile final : public WritableFile {
 public:
  explicit SparseFile(const std::string& path)
      : path_(path), descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600)) {}
  ~SparseFile() override { close(); }
  void append(std::span<const std::byte> bytes) override {
    if (bytes.size() < kHole) {
      EXPECT_EQ(::pwrite(descriptor_, bytes.data(), bytes.size(), position_),
                static_cast<ssize_t>(bytes.size()));
    }
    position_ += static_cast<off_t>(bytes.size());
  }
  void sync() override {}
  void close() override {
    if (descriptor_ < 0) return;
    EXPECT_EQ(::ftruncate(descriptor_, position_), 0);
    EXPECT_EQ(::close(std::exchange(descriptor_, -1)), 0);
  }
  const std::string& path() const override { return path_; }

 private:
  static constexpr std::size_t kHole = std::size_t{1} << 20;
  std::string path_;
  int descriptor_;
  off_t position_ = 0;
};

// Memory that is never written: every page of it is the one page of zeros.
class Zeros {
 public:
  explicit Zeros(std::size_t bytes) : bytes_(bytes) {
    address_ =
        ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address_ == MAP_FAILED) throw std::bad_alloc();
  }
  ~Zeros() { ::munmap(address_, bytes_); }
  Zeros(const Zeros&) = delete;
  Zeros& operator=(const Zeros&) = delete;
  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(address_), bytes_};
  }

 private:
  void* address_;
  std::size_t bytes_;
};

TEST_F(Npz, archives_and_arrays_above_4_gib_have_fields_of_64_bits) {
  constexpr std::uint64_t kElements = (std::uint64_t{1} << 30) + 7;
  const Zeros zeros(kElements * sizeof(float));
  {
    SparseFile file(path_);
    NpzWriter writer(file);
    writer.add(view("before", DType::kF32, {2, 3}, six_));
    writer.add({"large", DType::kF32, {static_cast<std::int64_t>(kElements)}, zeros.bytes()});
    writer.add(view("behind", DType::kF32, {2, 3}, six_));
    writer.finish();
  }
  const NpzFile file(path_);
  EXPECT_EQ(read<float>(file, "before"), six_);
  EXPECT_EQ(read<float>(file, "behind"), six_);
  ASSERT_NE(file.find("large"), nullptr);
  EXPECT_EQ(file.find("large")->bytes, kElements * sizeof(float));
  EXPECT_GT(file.find("behind")->member.data.data() - file.find("before")->member.data.data(),
            std::int64_t{1} << 32);
}

}  // namespace
}  // namespace bit::storage
