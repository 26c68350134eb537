// Compressed files (gzip, RFC 1952, of one or several members; zlib, RFC 1950) read in sequence.
#pragma once

#include <memory>
#include <string>

#include "storage/file.h"

namespace bit::storage {

// Whether the file begins as gzip does: 1F 8B 08. The length of a TFRecord may be these bytes
// (559,903 and others), so a file that begins with the header of a record, checksum included, is
// none. A zlib stream has no magic number but two bytes that occur in many files (78 01, 78 9C): it
// is looked for with `or_zlib` only, where the file can be nothing else but TFRecords. Throws
// StorageError.
bool is_gzip(const ReadableFile& file, bool or_zlib = false);

// The inflated bytes: size() is kUnknownSize and offsets must not go back (std::logic_error); going
// forward inflates what lies between. Memory: 320 KiB. read_at() throws StorageError; DataError
// naming the file and the byte of the compressed stream when it is damaged, cut, or followed by
// something other than zeros. One thread.
std::unique_ptr<ReadableFile> open_gzip(FileSystem& files, const std::string& path);

// As files.open(), and as open_gzip() when the file is_gzip().
std::unique_ptr<ReadableFile> open_plain_or_gzip(FileSystem& files, const std::string& path);

}  // namespace bit::storage
