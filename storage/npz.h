// Arrays of numpy by name: .npz files, which are zip archives of .npy files, read and written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/file.h"
#include "storage/safetensors.h"
#include "storage/zip.h"
#include "storage/zip_writer.h"

namespace bit::storage {

struct NpzArray {
  std::string name;            // without ".npy"
  std::string type;            // numpy's name of it: "<f4"
  std::optional<DType> dtype;  // nullopt: it is listed, but cannot be read
  std::vector<std::int64_t> shape;
  bool fortran_order = false;
  std::size_t header_bytes = 0;
  std::uint64_t bytes = 0;  // of the elements
  ZipMember member;
};

// Whether these first bytes of a file are those of a zip archive.
bool is_zip(std::span<const std::byte> begin);

// The arrays of the archive `file`, whose headers are read. Throws DataError with the reason alone:
// for what parse_zip() refuses, members that are no arrays, and arrays whose shape does not match
// their bytes.
std::vector<NpzArray> parse_npz(std::span<const std::byte> file);

// Fills `out` (of array.bytes) with the elements in row-major order, and checks their checksum.
// Throws DataError with the reason alone. Memory: in Fortran order, a second copy.
void read_array(const NpzArray& array, std::span<std::byte> out);

// A mapped file.
class NpzFile {
 public:
  // Throws StorageError or DataError ("<path>: <reason>").
  explicit NpzFile(const std::string& path);
  const std::vector<NpzArray>& arrays() const { return arrays_; }  // in file order
  const NpzArray* find(std::string_view name) const;               // nullptr when absent
  // As read_array(), the path in front of the reason.
  void read(const NpzArray& array, std::span<std::byte> out) const;

 private:
  std::string path_;
  MappedFile file_;
  std::vector<NpzArray> arrays_;
};

// Writes arrays one after the other into an open, empty file, which the caller syncs and closes:
// stored, the elements of each at a multiple of 64 bytes from the start of its .npy, as numpy does.
class NpzWriter {
 public:
  explicit NpzWriter(WritableFile& file) : zip_(file) {}
  // Throws std::invalid_argument for a name that was used, or a shape that does not match the
  // bytes; StorageError.
  void add(const TensorView& array);
  void finish() { zip_.finish(); }

 private:
  ZipWriter zip_;
};

}  // namespace bit::storage
