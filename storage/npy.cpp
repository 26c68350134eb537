#include "storage/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kVersionEnd = 8;  // magic, major and minor version; then the length
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMaxDimensions = 64;  // numpy's own limit

struct NamedType {
  std::string_view name;
  DType dtype;
};
constexpr std::array<NamedType, 8> kTypes = {{
    {"<f4", DType::kF32},
    {"<f8", DType::kF64},
    {"<f2", DType::kF16},
    {"<i4", DType::kI32},
    {"<i8", DType::kI64},
    {"|u1", DType::kU8},
    {"|V2", DType::kBF16},
    {"<V2", DType::kBF16},
}};

// A Python literal of the kind that numpy writes: {'descr': '<f4', 'shape': (3, 64), ...}.
class Literal {
 public:
  explicit Literal(std::string_view text) : text_(text) {}

  // Skips blanks; true, and past it, when `symbol` is next.
  bool take(char symbol) {
    skip_blanks();
    if (text_.empty() || text_.front() != symbol) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char symbol) {
    if (!take(symbol)) fail(std::string("lacks '") + symbol + "'");
  }
  std::string quoted() {
    const char quote = take('\'') ? '\'' : '"';
    if (quote == '"' && !take('"')) fail("has something other than a plain text");
    const std::size_t end = text_.find(quote);
    if (end == std::string_view::npos ||
        text_.substr(0, end).find('\\') != std::string_view::npos) {
      fail("has a text that does not end");
    }
    const std::string text(text_.substr(0, end));
    text_.remove_prefix(end + 1);
    return text;
  }
  bool truth() {
    skip_blanks();
    for (const auto& [word, value] : {std::pair("True", true), std::pair("False", false)}) {
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(std::strlen(word));
      return value;
    }
    fail("has neither True nor False");
  }
  std::vector<std::int64_t> numbers() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!take(')')) {
      skip_blanks();
      std::int64_t value = -1;
      const char* end = text_.data() + text_.size();
      const auto [stop, error] = std::from_chars(text_.data(), end, value);
      if (error != std::errc() || value < 0) fail("has a shape that is not of whole numbers");
      text_.remove_prefix(static_cast<std::size_t>(stop - text_.data()));
      take('L');  // Python 2
      values.push_back(value);
      if (values.size() > kMaxDimensions) fail("has too many dimensions");
      if (take(',')) continue;
      expect(')');
      break;
    }
    return values;
  }
  void expect_end() {
    skip_blanks();
    if (!text_.empty()) fail("goes on behind its end");
  }

  [[noreturn]] static void fail(const std::string& reason) {
    throw DataError("the header of the array " + reason);
  }

 private:
  void skip_blanks() {
    const std::size_t first = text_.find_first_not_of(" \t\r\n");
    text_.remove_prefix(std::min(first, text_.size()));
  }
  std::string_view text_;
};

std::optional<DType> dtype_named(std::string_view name) {
  for (const NamedType& type : kTypes) {
    if (type.name == name) return type.dtype;
  }
  return std::nullopt;
}

void parse_text(std::string_view text, NpyHeader& header) {
  Literal literal(text);
  bool has_type = false;
  bool has_order = false;
  bool has_shape = false;
  const auto once = [](bool& seen, const std::string& key) {
    if (std::exchange(seen, true)) Literal::fail("has '" + key + "' twice");
  };
  literal.expect('{');
  while (!literal.take('}')) {
    const std::string key = literal.quoted();
    literal.expect(':');
    if (key == "descr") {
      once(has_type, key);
      header.type = literal.quoted();
    } else if (key == "fortran_order") {
      once(has_order, key);
      header.fortran_order = literal.truth();
    } else if (key == "shape") {
      once(has_shape, key);
      header.shape = literal.numbers();
    } else {
      Literal::fail("has an unknown '" + key + "'");
    }
    if (literal.take(',')) continue;
    literal.expect('}');
    break;
  }
  literal.expect_end();
  if (!has_type || !has_order || !has_shape) {
    Literal::fail("lacks 'descr', 'fortran_order' or 'shape'");
  }
  header.dtype = dtype_named(header.type);
}

}  // namespace

std::size_t npy_header_bytes(std::span<const std::byte> begin) {
  const std::string_view text(reinterpret_cast<const char*>(begin.data()), begin.size());
  if (!text.starts_with(kMagic) || text.size() < kNpyPrefixBytes) {
    throw DataError("this is not an array of numpy");
  }
  const int version = std::to_integer<int>(begin[kMagic.size()]);
  if (version < 1 || version > 3) {
    throw DataError("version " + std::to_string(version) + " of numpy's format is unknown");
  }
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  std::uint32_t length = 0;
  std::memcpy(&length, text.data() + kVersionEnd, length_bytes);
  if (length > kMaxNpyHeaderBytes) throw DataError("the header of the array is too long");
  return kVersionEnd + length_bytes + length;
}

NpyHeader parse_npy_header(std::span<const std::byte> file) {
  NpyHeader header;
  header.bytes = npy_header_bytes(file);
  if (header.bytes > file.size()) throw DataError("the array ends inside its header");
  const std::size_t begin = kVersionEnd + (file[kMagic.size()] == std::byte{1} ? 2 : 4);
  parse_text({reinterpret_cast<const char*>(file.data()) + begin, header.bytes - begin}, header);
  return header;
}

std::string make_npy_header(DType dtype, std::span<const std::int64_t> shape) {
  const auto* type = std::ranges::find(kTypes, dtype, &NamedType::dtype);
  if (type == kTypes.end()) throw std::invalid_argument("numpy has no name for this type");
  std::string text =
      "{'descr': '" + std::string(type->name) + "', 'fortran_order': False, 'shape': (";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : " ") + std::to_string(shape[i]) + ",";
    if (i > 0 && i + 1 == shape.size()) text.pop_back();
  }
  text += "), }";
  const std::size_t begin = kVersionEnd + 2;
  const std::size_t bytes = (begin + text.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  text.resize(bytes - begin - 1, ' ');
  text += '\n';
  // numpy allows 32 dimensions, 64 since 2.0: their digits fit 16 bits of length.
  const auto length = static_cast<std::uint16_t>(text.size());
  std::string header(kMagic);
  header += '\1';
  header += '\0';
  header.append(reinterpret_cast<const char*>(&length), sizeof(length));
  return header + text;
}

}  // namespace bit::storage
