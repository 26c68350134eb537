// Files that hold many images (tars, TFRecord files), listed by several threads and handed on in
// order. Files that can only be read in sequence (gzip) are spooled: their images are written, as
// they are met, to a file of the listing's own and are read from there.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pipeline/convert/listing.h"
#include "storage/file.h"

namespace bit::pipeline {

// A file, or a part of one (a tar in a tar).
struct ContainerPart {
  std::string path;
  std::uint64_t offset = 0;
  std::uint64_t bytes = kWholeFile;  // kWholeFile: to the end
  std::string label;                 // for the walker: the class of all images in it; may be empty
};

// An image as a walker finds it.
struct FoundImage {
  std::string key;
  std::string name;                     // member or file name, for messages; empty: as the key
  std::uint64_t offset = 0, bytes = 0;  // as keep() gave them
  std::vector<std::string> labels;      // as LabelNames::label() takes them
};

// Where a walker puts what it finds in one container. One thread.
class ContainerWalk {
 public:
  virtual ~ContainerWalk() = default;
  // The part being walked, from its first byte. It may be of kUnknownSize and readable in sequence
  // only: then offsets must not go back.
  virtual const storage::ReadableFile& file() const = 0;
  virtual const ContainerPart& part() const = 0;
  // To be called for an image when its bytes are next: says where it will be read from. `offset`
  // counts in file().
  virtual std::uint64_t keep(std::uint64_t offset, std::uint64_t bytes) = 0;
  // The same for bytes that the walker has read already.
  virtual std::uint64_t keep(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual void add(FoundImage image) = 0;
  // `name`: of the member or record; the container's path is put before it.
  virtual void add_problem(const std::string& name, std::string reason) = 0;
};

// Calls `walk` for every part, from `threads` threads, and adds what it finds to `listing` in the
// order of the parts. Labels are resolved with `first` as the number of the first class; one that
// cannot be is a problem of its image. What `walk` throws is thrown. Memory: what is found in four
// parts a thread; a single part is streamed.
void list_containers(storage::FileSystem& files, ListingWriter& listing,
                     std::span<const ContainerPart> parts, unsigned threads, std::int64_t first,
                     const std::function<void(ContainerWalk&)>& walk);

}  // namespace bit::pipeline
