#include "pipeline/convert/list_containers.h"

#include <algorithm>
#include <utility>

#include "pipeline/convert/ordered_window.h"
#include "storage/gzip.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

constexpr std::size_t kPartsPerThread = 4;
constexpr std::size_t kCopyBytes = std::size_t{1} << 20;

struct Found {
  bool spooled = false;
  std::vector<FoundImage> images;
  std::vector<QuarantinedImage> problems;
};

// A part of a file as a file.
class FilePart final : public storage::ReadableFile {
 public:
  FilePart(const storage::ReadableFile& file, const ContainerPart& part)
      : file_(file),
        offset_(part.offset),
        size_(std::min(part.bytes, file.size() - std::min(offset_, file.size()))) {}
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset >= size_) return 0;
    return file_.read_at(offset_ + offset, out.first(std::min(out.size(), size_ - offset)));
  }
  std::uint64_t size() const override { return size_; }
  const std::string& path() const override { return file_.path(); }

 private:
  const storage::ReadableFile& file_;
  const std::uint64_t offset_;
  const std::uint64_t size_;
};

// Walks one part; `Take` is called with each image and each problem.
class PartWalk final : public ContainerWalk {
 public:
  using TakeImage = std::function<void(FoundImage)>;
  using TakeProblem = std::function<void(QuarantinedImage)>;

  PartWalk(storage::FileSystem& files, const ContainerPart& part, std::string spool_path,
           TakeImage take_image, TakeProblem take_problem)
      : files_(files),
        part_(part),
        spool_path_(std::move(spool_path)),
        take_image_(std::move(take_image)),
        take_problem_(std::move(take_problem)),
        whole_(storage::open_plain_or_gzip(files, part.path)) {
    if (whole_->size() == storage::kUnknownSize) {
      spool_ = files_.create(spool_path_);
    } else {
      view_ = std::make_unique<FilePart>(*whole_, part_);
    }
  }

  const storage::ReadableFile& file() const override { return view_ ? *view_ : *whole_; }
  const ContainerPart& part() const override { return part_; }

  std::uint64_t keep(std::uint64_t offset, std::uint64_t bytes) override {
    if (!spool_) return part_.offset + offset;
    const std::uint64_t start = spooled_;
    std::vector<std::byte> buffer(std::min<std::uint64_t>(bytes, kCopyBytes));
    for (std::uint64_t done = 0; done < bytes;) {
      const auto wanted =
          std::span(buffer).first(std::min<std::uint64_t>(bytes - done, kCopyBytes));
      const std::size_t count = whole_->read_at(offset + done, wanted);
      if (count == 0) throw storage::DataError(part_.path + ": ends inside an image");
      append(wanted.first(count));
      done += count;
    }
    return start;
  }
  std::uint64_t keep(std::uint64_t offset, std::span<const std::byte> bytes) override {
    if (!spool_) return part_.offset + offset;
    const std::uint64_t start = spooled_;
    append(bytes);
    return start;
  }
  void add(FoundImage image) override { take_image_(std::move(image)); }
  void add_problem(const std::string& name, std::string reason) override {
    take_problem_({part_.path + ": " + name, std::move(reason)});
  }

  bool spools() const { return spool_ != nullptr; }
  // To be called in the end: completes the spool.
  void finish() {
    if (!spool_) return;
    spool_->sync();
    spool_->close();
  }

 private:
  void append(std::span<const std::byte> bytes) {
    spool_->append(bytes);
    spooled_ += bytes.size();
  }

  storage::FileSystem& files_;
  const ContainerPart& part_;
  const std::string spool_path_;
  const TakeImage take_image_;
  const TakeProblem take_problem_;
  const std::unique_ptr<storage::ReadableFile> whole_;
  std::unique_ptr<FilePart> view_;
  std::unique_ptr<storage::WritableFile> spool_;
  std::uint64_t spooled_ = 0;
};

// Puts what was found into the listing.
class Merger {
 public:
  Merger(ListingWriter& listing, std::int64_t first) : listing_(listing), first_(first) {}

  // The parts come in order; those of one file follow each other.
  void begin(const ContainerPart& part) {
    path_ = part.path;
    if (container_path_ == path_) return;
    container_path_ = path_;
    container_ = listing_.add_container(path_);
  }
  // The images of the part are in spool `number`.
  void use_spool(std::uint64_t number) {
    container_path_.clear();
    container_ = listing_.add_spool(number, path_);
  }
  void add(FoundImage found) {
    ListedImage image;
    image.name = found.name.empty() ? found.key : std::move(found.name);
    image.container = container_;
    image.offset = found.offset;
    image.bytes = found.bytes;
    try {
      for (const auto& label : found.labels) {
        image.labels.push_back(listing_.labels().label(label, first_));
      }
      if (image.labels.empty()) throw storage::DataError("no label");
    } catch (const storage::DataError& error) {
      listing_.add_problem(path_ + ": " + image.name, error.what());
      return;
    }
    image.key = std::move(found.key);
    listing_.add(image);
  }
  void add(QuarantinedImage problem) {
    listing_.add_problem(std::move(problem.path), std::move(problem.reason));
  }

 private:
  ListingWriter& listing_;
  const std::int64_t first_;
  std::string path_, container_path_;
  std::uint32_t container_ = 0;
};

Found find_in(storage::FileSystem& files, const ContainerPart& part, const std::string& spool,
              const std::function<void(ContainerWalk&)>& walk) {
  Found found;
  PartWalk part_walk(
      files, part, spool, [&](FoundImage image) { found.images.push_back(std::move(image)); },
      [&](QuarantinedImage problem) { found.problems.push_back(std::move(problem)); });
  walk(part_walk);
  part_walk.finish();
  found.spooled = part_walk.spools();
  return found;
}

// Without holding what is found.
void list_one(storage::FileSystem& files, ListingWriter& listing, const ContainerPart& part,
              const std::function<void(ContainerWalk&)>& walk, Merger& merger) {
  merger.begin(part);
  PartWalk part_walk(
      files, part, listing.spool_path(0), [&](FoundImage image) { merger.add(std::move(image)); },
      [&](QuarantinedImage problem) { merger.add(std::move(problem)); });
  if (part_walk.spools()) merger.use_spool(0);
  walk(part_walk);
  part_walk.finish();
}

}  // namespace

void list_containers(storage::FileSystem& files, ListingWriter& listing,
                     std::span<const ContainerPart> parts, unsigned threads, std::int64_t first,
                     const std::function<void(ContainerWalk&)>& walk) {
  Merger merger(listing, first);
  if (parts.size() == 1) return list_one(files, listing, parts.front(), walk, merger);
  threads = std::max(1u, threads);
  OrderedWindow<Found> found(
      parts.size(), threads, threads * kPartsPerThread, UINT64_MAX,
      [](const Found&) { return std::uint64_t{0}; },
      [&]() -> OrderedWindow<Found>::Worker {
        return [&](std::uint64_t number) {
          return find_in(files, parts[number], listing.spool_path(number), walk);
        };
      });
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Found next = *found.next();
    merger.begin(parts[i]);
    if (next.spooled) merger.use_spool(i);
    for (auto& image : next.images) merger.add(std::move(image));
    for (auto& problem : next.problems) merger.add(std::move(problem));
  }
}

}  // namespace bit::pipeline
