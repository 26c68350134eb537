// safetensors: a strict reader of mapped files, and a writer that streams tensors behind a header
// padded to 8 bytes.
#include "storage/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <stdexcept>

#include "storage/crc32c.h"
#include "storage/tfrecord.h"

namespace bit::storage {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation
constexpr char kMetadata[] = "__metadata__";

struct DTypeEntry {
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array<DTypeEntry, 7> kDTypes = {{
    {"F32", 4},
    {"F64", 8},
    {"BF16", 2},
    {"F16", 2},
    {"I32", 4},
    {"I64", 8},
    {"U8", 1},
}};  // in the order of the enumeration

std::optional<DType> dtype_named(std::string_view name) {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (kDTypes[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

// Parses the header's JSON, which nests three deep at most and repeats no name.
json parse_json(std::string_view text) {
  std::array<std::set<std::string>, 2> names;  // of the header, of the object inside it
  const auto on_event = [&](int depth, json::parse_event_t event, const json& value) {
    if (depth > 3) throw DataError("the header nests too deep");
    if (event == json::parse_event_t::object_start && depth == 1) names[1].clear();
    if (event == json::parse_event_t::key && depth >= 1 && depth <= 2 &&
        !names[static_cast<std::size_t>(depth - 1)].insert(value.get<std::string>()).second) {
      throw DataError("the header has '" + value.get<std::string>() + "' twice");
    }
    return true;
  };
  try {
    return json::parse(text, on_event);
  } catch (const json::exception&) {
    throw DataError("the header is not JSON");
  }
}

std::uint64_t whole_number(const json& value, const std::string& name) {
  if (!value.is_number_unsigned()) {
    throw DataError("tensor '" + name + "': a number that is not a whole one");
  }
  return value.get<std::uint64_t>();
}

TensorView parse_tensor(const std::string& name, const json& entry,
                        std::span<const std::byte> data) {
  const auto wrong = [&](const std::string& reason) {
    return DataError("tensor '" + name + "': " + reason);
  };
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") ||
      !entry.contains("shape") || !entry.contains("data_offsets")) {
    throw wrong("needs dtype, shape and data_offsets and nothing else");
  }
  if (!entry["dtype"].is_string() || !entry["shape"].is_array() ||
      !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2) {
    throw wrong("dtype, shape or data_offsets of the wrong kind");
  }
  TensorView tensor;
  tensor.name = name;
  const auto dtype = dtype_named(entry["dtype"].get<std::string>());
  if (!dtype) throw wrong("type " + entry["dtype"].get<std::string>() + " is not supported");
  tensor.dtype = *dtype;
  for (const json& dimension : entry["shape"]) {
    const std::uint64_t value = whole_number(dimension, name);
    if (value > std::numeric_limits<std::int64_t>::max()) throw wrong("its size overflows");
    tensor.shape.push_back(static_cast<std::int64_t>(value));
  }
  const auto bytes = tensor_bytes(*dtype, tensor.shape);
  if (!bytes) throw wrong("its size overflows");
  const std::uint64_t begin = whole_number(entry["data_offsets"][0], name);
  const std::uint64_t end = whole_number(entry["data_offsets"][1], name);
  if (begin > end || end > data.size()) throw wrong("its bytes lie outside the file");
  if (end - begin != *bytes) throw wrong("its shape does not match its bytes");
  tensor.bytes = data.subspan(begin, end - begin);
  return tensor;
}

std::map<std::string, std::string> parse_metadata(const json& entry) {
  if (!entry.is_object()) throw DataError("__metadata__ is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : entry.items()) {
    if (!value.is_string()) throw DataError("__metadata__ holds something other than text");
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

// Sorts by position and checks that the tensors cover `data` without holes or overlap.
void check_cover(std::vector<TensorView>& tensors, std::span<const std::byte> data) {
  const auto position = [&](const TensorView& tensor) {
    return std::pair(tensor.bytes.data() - data.data(), tensor.bytes.size());
  };
  std::ranges::sort(tensors, {}, position);
  std::size_t covered = 0;
  for (const TensorView& tensor : tensors) {
    const auto begin = static_cast<std::size_t>(tensor.bytes.data() - data.data());
    if (begin != covered) {
      throw DataError("tensor '" + tensor.name +
                      "': " + (begin < covered ? "overlaps another" : "there is a hole before it"));
    }
    covered += tensor.bytes.size();
  }
  if (covered != data.size()) throw DataError("there are bytes after the last tensor");
}

// Widest elements first, so that every tensor is aligned; otherwise the order given.
std::vector<std::size_t> file_order(std::span<const TensorView> tensors) {
  std::vector<std::size_t> order;
  std::set<std::string_view> names;
  for (const TensorView& tensor : tensors) {
    if (tensor.name == kMetadata || !names.insert(tensor.name).second) {
      throw std::invalid_argument("tensor '" + tensor.name + "': the name is taken");
    }
    if (!tensor_bytes(tensor.dtype, tensor.shape)) {
      throw std::invalid_argument("tensor '" + tensor.name + "': its size overflows");
    }
    order.push_back(order.size());
  }
  std::ranges::stable_sort(order, std::greater(),
                           [&](std::size_t i) { return dtype_bytes(tensors[i].dtype); });
  return order;
}

void check_shapes(std::span<const TensorView> tensors) {
  for (const TensorView& tensor : tensors) {
    if (tensor_bytes(tensor.dtype, tensor.shape) != tensor.bytes.size()) {
      throw std::invalid_argument("tensor '" + tensor.name +
                                  "': its shape does not match its bytes");
    }
  }
}

// Length and JSON, padded with spaces so that the tensors start at a multiple of 8 bytes.
std::string make_header(std::span<const TensorView> tensors, std::span<const std::size_t> order,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::uint64_t offset = 0;
  for (const std::size_t i : order) {
    const std::uint64_t bytes = *tensor_bytes(tensors[i].dtype, tensors[i].shape);
    header[tensors[i].name] = {{"dtype", dtype_name(tensors[i].dtype)},
                               {"shape", tensors[i].shape},
                               {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception&) {
    throw std::invalid_argument("a tensor name or metadata is not UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

struct Checked {
  std::vector<std::size_t> order;
  std::string header;
};

Checked check(std::span<const TensorView> tensors,
              const std::map<std::string, std::string>& metadata) {
  auto order = file_order(tensors);
  std::string header = make_header(tensors, order, metadata);
  return {std::move(order), std::move(header)};
}

using ReadTensor = std::function<std::span<const std::byte>(std::size_t index)>;

WrittenSafetensors write_checked(WritableFile& file, const Checked& checked,
                                 std::span<const TensorView> tensors, const ReadTensor& read) {
  WrittenSafetensors written;
  const auto append = [&](std::span<const std::byte> bytes) {
    file.append(bytes);
    written.bytes += bytes.size();
    written.crc32c = crc32c(bytes, written.crc32c);
  };
  append(std::as_bytes(std::span(checked.header)));
  for (const std::size_t i : checked.order) {
    TensorView tensor = tensors[i];
    tensor.bytes = read(i);
    check_shapes({&tensor, 1});
    written.tensors.push_back({tensor.name, tensor.dtype, tensor.shape, written.bytes,
                               tensor.bytes.size(), crc32c(tensor.bytes)});
    append(tensor.bytes);
  }
  return written;
}

}  // namespace

std::optional<std::uint64_t> tensor_bytes(DType dtype, std::span<const std::int64_t> shape) {
  std::uint64_t bytes = dtype_bytes(dtype);
  for (const std::int64_t dimension : shape) {
    if (dimension < 0 ||
        __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dimension), &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

std::size_t dtype_bytes(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)].bytes; }
std::string_view dtype_name(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)].name; }

WrittenSafetensors write_safetensors(WritableFile& file, std::span<const TensorView> tensors,
                                     const std::map<std::string, std::string>& metadata,
                                     const ReadTensor& read) {
  return write_checked(file, check(tensors, metadata), tensors, read);
}

WrittenSafetensors write_safetensors(WritableFile& file, std::span<const TensorView> tensors,
                                     const std::map<std::string, std::string>& metadata) {
  check_shapes(tensors);
  return write_safetensors(file, tensors, metadata,
                           [&](std::size_t i) { return tensors[i].bytes; });
}

WrittenSafetensors write_safetensors(FileSystem& files, const std::string& path,
                                     std::span<const TensorView> tensors,
                                     const std::map<std::string, std::string>& metadata) {
  check_shapes(tensors);
  const Checked checked = check(tensors, metadata);  // before there is a file
  const auto file = files.create(path);
  WrittenSafetensors written =
      write_checked(*file, checked, tensors, [&](std::size_t i) { return tensors[i].bytes; });
  file->sync();
  file->close();
  return written;
}

SafetensorsHeader parse_safetensors(std::span<const std::byte> file) {
  std::uint64_t length = 0;
  if (file.size() < sizeof(length)) throw DataError("shorter than a header");
  std::memcpy(&length, file.data(), sizeof(length));
  if (length > kMaxHeaderBytes) throw DataError("the header is larger than 100 MB");
  if (length > file.size() - sizeof(length)) throw DataError("the file ends inside the header");
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + sizeof(length), length);
  if (!text.starts_with('{')) throw DataError("the header is not a JSON object");
  const json root = parse_json(text);

  SafetensorsHeader header;
  header.data_offset = sizeof(length) + length;
  const auto data = file.subspan(header.data_offset);
  for (const auto& [name, entry] : root.items()) {
    if (name == kMetadata) {
      header.metadata = parse_metadata(entry);
    } else {
      header.tensors.push_back(parse_tensor(name, entry, data));
    }
  }
  check_cover(header.tensors, data);
  return header;
}

SafetensorsFile::SafetensorsFile(const std::string& path) : file_(path) {
  try {
    SafetensorsHeader header = parse_safetensors(file_.bytes());
    tensors_ = std::move(header.tensors);
    metadata_ = std::move(header.metadata);
  } catch (const DataError& error) {
    throw DataError(path + ": " + error.what());
  }
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::ranges::find(tensors_, name, &TensorView::name);
  return found == tensors_.end() ? nullptr : &*found;
}

}  // namespace bit::storage
