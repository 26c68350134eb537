// The images that a conversion will read, numbered: a list on disk, written once and read by
// number. So 300 million of them need no memory, every rank sees the same ones, and a conversion
// that was stopped goes on without listing again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/convert/label_names.h"
#include "pipeline/convert/quarantine.h"
#include "schemas/conversion.pb.h"
#include "storage/file.h"

namespace bit::pipeline {

inline constexpr std::uint64_t kWholeFile = UINT64_MAX;
// Images that are looked at for the whole: evenly spread over the list.
inline constexpr std::uint64_t kListedSamples = 1024;

// An image and where its bytes are.
struct ListedImage {
  std::string key;                   // name within the input, kept in its record
  std::string name;                  // file below the container, or member of it; empty: as the key
  std::uint32_t container = 0;       // number of a folder or file: ListingWriter::add_container
  std::uint64_t offset = 0;          // of the image in the container
  std::uint64_t bytes = kWholeFile;  // kWholeFile: the container is a folder, `name` a file in it
  std::vector<std::int32_t> labels;  // of the listing's LabelNames; 0-based, without repetition
};

// Writes <path>.entries, <path>.ends and, last and atomically, <path>. All methods throw
// storage::StorageError. One thread.
class ListingWriter {
 public:
  // `labels` gives the labels their numbers. `files` and `labels` must outlive the writer.
  ListingWriter(storage::FileSystem& files, std::string path, LabelNames& labels);

  LabelNames& labels() { return labels_; }
  // A folder or a file that images lie in. Its size and time of change are noted, so that a change
  // is seen when a conversion is resumed.
  std::uint32_t add_container(const std::string& path);
  // A file of the listing's own, beside it, for the images of a source that can only be read in
  // sequence: where it is to be written, and its number as a container. It has to be complete when
  // finish() is called. Messages name `source`.
  std::string spool_path(std::uint64_t number) const;
  std::uint32_t add_spool(std::uint64_t number, const std::string& source);
  void add(const ListedImage& image);
  void add_problem(std::string path, std::string reason);
  std::uint64_t images() const { return listing_.images(); }

  // Makes all of it durable. Nothing is to be called after it.
  void finish();

 private:
  storage::FileSystem& files_;
  const std::string path_;
  LabelNames& labels_;
  schemas::ConversionListing listing_;
  std::unique_ptr<storage::WritableFile> entries_, ends_;
  std::vector<std::byte> buffer_;
  std::uint64_t written_ = 0;  // bytes of entries
  std::uint32_t crc_ = 0;
};

// Immutable; any thread.
class Listing {
 public:
  // Throws storage::StorageError; storage::DataError when the files are not those that a
  // ListingWriter wrote.
  static Listing open(storage::FileSystem& files, const std::string& path);

  std::uint64_t images() const { return listing_.images(); }
  // number < images(). Throws storage::StorageError, storage::DataError (damaged list).
  ListedImage image(std::uint64_t number) const;
  // Of the file or folder that `image` lies in, with the member's or file's name: for messages.
  std::string place(const ListedImage& image) const;
  // The bytes of an image. Throws storage::StorageError; storage::DataError with the reason alone
  // when the container ends inside the image.
  std::vector<std::byte> read(const ListedImage& image) const;

  // Tells the operating system that read() will follow. Nothing for images that are whole files.
  void will_need(const ListedImage& image) const;

  // Position: label. Empty when the input numbers its classes without naming them.
  const std::vector<std::string>& class_names() const { return class_names_; }
  std::vector<QuarantinedImage> problems() const;
  // Of all images; estimated from evenly spread ones when their sizes are not listed.
  std::uint64_t total_bytes() const;
  // The places of the images that are not there among kListedSamples of them.
  std::vector<std::string> missing_samples() const;
  // Of the list without the times of change: equal when the same images would be converted.
  std::uint64_t content_hash() const { return listing_.content_hash(); }
  // Whether every container still has the size and time of change that it was listed with.
  bool is_current() const;

 private:
  struct Files;
  Listing() = default;
  std::shared_ptr<storage::ReadableFile> container(const ListedImage& image) const;

  storage::FileSystem* files_ = nullptr;
  std::string path_;
  schemas::ConversionListing listing_;
  std::vector<std::string> class_names_;
  std::shared_ptr<Files> open_files_;  // entries, ends and containers, opened when first used
};

}  // namespace bit::pipeline
