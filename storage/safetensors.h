// safetensors files: u64 header length, JSON header, tensors without holes
// (github.com/huggingface/safetensors).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/file.h"

namespace bit::storage {

enum class DType { kF32, kF64, kBF16, kF16, kI32, kI64, kU8 };
std::size_t dtype_bytes(DType dtype);
std::string_view dtype_name(DType dtype);  // "F32", as in the header
// Of an array; nullopt when a dimension is negative or the number overflows.
std::optional<std::uint64_t> tensor_bytes(DType dtype, std::span<const std::int64_t> shape);

// A named array in row-major order. `bytes` is a view owned by the caller or by the SafetensorsFile
// it came from.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

// What was written: sizes and checksums, for a manifest.
struct WrittenTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::uint64_t offset = 0;  // in the file
  std::uint64_t bytes = 0;
  std::uint32_t crc32c = 0;
};
struct WrittenSafetensors {
  std::uint64_t bytes = 0;
  std::uint32_t crc32c = 0;  // of the whole file
  std::vector<WrittenTensor> tensors;
};

// Writes, syncs and closes `path` (the name is not atomic: callers rename or publish a directory).
// Throws StorageError; std::invalid_argument for duplicate names or a shape that does not match the
// bytes.
WrittenSafetensors write_safetensors(FileSystem& files, const std::string& path,
                                     std::span<const TensorView> tensors,
                                     const std::map<std::string, std::string>& metadata = {});
// The same into an open, empty file, which the caller syncs and closes.
WrittenSafetensors write_safetensors(WritableFile& file, std::span<const TensorView> tensors,
                                     const std::map<std::string, std::string>& metadata = {});

// The same for tensors that are not all in memory at once: `tensors` without their bytes, which
// `read` gives for the tensor of an index of `tensors`. It is called once for each, in the order of
// the file; a view is used before the next call.
WrittenSafetensors write_safetensors(
    WritableFile& file, std::span<const TensorView> tensors,
    const std::map<std::string, std::string>& metadata,
    const std::function<std::span<const std::byte>(std::size_t index)>& read);

// A mapped, strictly checked file: header of at most 100 MB, no overlap, no holes, no overflow, no
// duplicate names.
class SafetensorsFile {
 public:
  // Throws StorageError or DataError ("<path>: <reason>").
  explicit SafetensorsFile(const std::string& path);
  const std::vector<TensorView>& tensors() const { return tensors_; }  // in file order
  const TensorView* find(std::string_view name) const;                 // nullptr when absent
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  MappedFile file_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// The header alone, for fuzzing and inspection: offsets are relative to the end of the header.
struct SafetensorsHeader {
  std::uint64_t data_offset = 0;
  std::vector<TensorView> tensors;  // views into `file`
  std::map<std::string, std::string> metadata;
};
// `file` is the whole file. Throws DataError with the reason alone.
SafetensorsHeader parse_safetensors(std::span<const std::byte> file);

}  // namespace bit::storage
