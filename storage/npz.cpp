#include "storage/npz.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

#include "storage/npy.h"
#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

constexpr std::string_view kSuffix = ".npy";

// Elements of `size` bytes, the first index fastest in `from`, the last in `out`.
void to_row_major(std::span<const std::byte> from, std::span<const std::int64_t> shape,
                  std::size_t size, std::span<std::byte> out) {
  std::vector<std::uint64_t> strides(shape.size());
  std::uint64_t stride = size;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    strides[i] = stride;
    stride *= static_cast<std::uint64_t>(shape[i]);
  }
  std::vector<std::int64_t> index(shape.size());
  std::uint64_t source = 0;
  for (std::size_t at = 0; at < out.size(); at += size) {
    std::memcpy(out.data() + at, from.data() + source, size);
    for (std::size_t i = shape.size(); i-- > 0;) {
      source += strides[i];
      if (++index[i] < shape[i]) break;
      source -= strides[i] * static_cast<std::uint64_t>(shape[i]);
      index[i] = 0;
    }
  }
}

NpyHeader read_header(const ZipMember& member) {
  if (member.bytes < kNpyPrefixBytes) throw DataError("this is not an array of numpy");
  ZipMemberReader reader(member);
  std::vector<std::byte> begin(kNpyPrefixBytes);
  reader.read(begin);
  begin.resize(std::min<std::uint64_t>(npy_header_bytes(begin), member.bytes));
  reader.read(std::span(begin).subspan(kNpyPrefixBytes));
  return parse_npy_header(begin);
}

NpzArray parse_array(ZipMember member) {
  NpzArray array;
  if (!member.name.ends_with(kSuffix)) {
    const bool pickle = member.name.ends_with("data.pkl");
    throw DataError("member '" + member.name + "': " +
                    (pickle ? "this is a PyTorch file, which is not read: save it as safetensors"
                            : "this is not an array (.npy)"));
  }
  array.name = member.name.substr(0, member.name.size() - kSuffix.size());
  try {
    NpyHeader header = read_header(member);
    array.type = std::move(header.type);
    array.dtype = header.dtype;
    array.shape = std::move(header.shape);
    array.fortran_order = header.fortran_order;
    array.header_bytes = header.bytes;
    array.bytes = member.bytes - header.bytes;
    if (array.dtype && tensor_bytes(*array.dtype, array.shape) != array.bytes) {
      throw DataError("its shape does not match its bytes");
    }
  } catch (const DataError& error) {
    throw DataError("array '" + array.name + "': " + error.what());
  }
  array.member = std::move(member);
  return array;
}

}  // namespace

bool is_zip(std::span<const std::byte> begin) {
  // A local header, or the end of an archive without members.
  constexpr std::array<std::string_view, 2> kBegins = {"PK\3\4", "PK\5\6"};
  const std::string_view text(reinterpret_cast<const char*>(begin.data()), begin.size());
  return std::ranges::any_of(kBegins, [&](auto expected) { return text.starts_with(expected); });
}

std::vector<NpzArray> parse_npz(std::span<const std::byte> file) {
  std::vector<NpzArray> arrays;
  for (ZipMember& member : parse_zip(file)) arrays.push_back(parse_array(std::move(member)));
  return arrays;
}

void read_array(const NpzArray& array, std::span<std::byte> out) {
  if (!array.dtype) {
    throw DataError("array '" + array.name + "': type " + array.type + " is not supported");
  }
  if (out.size() != array.bytes) throw std::invalid_argument("room of another size");
  ZipMemberReader reader(array.member);
  std::vector<std::byte> header(array.header_bytes);
  reader.read(header);
  if (array.fortran_order && array.shape.size() > 1) {
    std::vector<std::byte> elements(out.size());
    reader.read(elements);
    to_row_major(elements, array.shape, dtype_bytes(*array.dtype), out);
  } else {
    reader.read(out);
  }
  reader.finish();
}

NpzFile::NpzFile(const std::string& path) : path_(path), file_(path) {
  try {
    arrays_ = parse_npz(file_.bytes());
  } catch (const DataError& error) {
    throw DataError(path + ": " + error.what());
  }
}

const NpzArray* NpzFile::find(std::string_view name) const {
  const auto found = std::ranges::find(arrays_, name, &NpzArray::name);
  return found == arrays_.end() ? nullptr : &*found;
}

void NpzFile::read(const NpzArray& array, std::span<std::byte> out) const {
  try {
    read_array(array, out);
  } catch (const DataError& error) {
    throw DataError(path_ + ": " + error.what());
  }
}

void NpzWriter::add(const TensorView& array) {
  if (tensor_bytes(array.dtype, array.shape) != array.bytes.size()) {
    throw std::invalid_argument("array '" + array.name + "': its shape does not match its bytes");
  }
  const std::string header = make_npy_header(array.dtype, array.shape);
  const std::array<std::span<const std::byte>, 2> pieces = {std::as_bytes(std::span(header)),
                                                            array.bytes};
  zip_.add(array.name + std::string(kSuffix), pieces);
}

}  // namespace bit::storage
