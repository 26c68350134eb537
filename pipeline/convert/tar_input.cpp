#include "pipeline/convert/tar_input.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "pipeline/convert/class_folders.h"
#include "pipeline/convert/list_containers.h"
#include "pipeline/convert/member_names.h"
#include "storage/gzip.h"
#include "storage/tar.h"
#include "storage/tfrecord.h"

namespace bit::pipeline {
namespace {

using storage::DataError;
using storage::TarMember;
using storage::TarReader;
using Layout = TarInput::Layout;

bool is_directory(storage::FileSystem& files, const std::string& path) {
  try {
    files.file_size(path);
    return false;
  } catch (const storage::StorageError& error) {
    if (error.code() == std::errc::is_a_directory) return true;
    throw;
  }
}

std::vector<std::string> find_tars(storage::FileSystem& files,
                                   const std::vector<std::string>& paths) {
  std::vector<std::string> tars;
  for (const std::string& path : paths) {
    if (!is_directory(files, path)) {
      tars.push_back(path);
      continue;
    }
    for (const auto& entry : files.list(path)) {
      if (!entry.is_directory && !is_litter(entry.name) && is_tar_name(entry.name, true)) {
        tars.push_back(path + "/" + entry.name);
      }
    }
  }
  return tars;
}

// Of the folder that holds the member; empty when none does.
std::string_view folder_of(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? "" : base_name(name.substr(0, slash));
}

// What the first image or inner tar of the tars is.
Layout look(storage::FileSystem& files, const std::vector<std::string>& tars) {
  for (const std::string& path : tars) {
    const auto file = storage::open_plain_or_gzip(files, path);
    TarReader reader(*file);
    while (const auto member = reader.next()) {
      if (is_member_litter(*member) || member->type != storage::TarType::kFile) continue;
      if (is_tar_name(member->name, true)) return Layout::kTarOfTars;
      if (!is_image_name(member->name)) continue;
      return folder_of(clean_name(member->name)).empty() ? Layout::kTarPerClass
                                                         : Layout::kClassFolders;
    }
  }
  throw DataError(tars.front() + (tars.size() > 1 ? " and the other tars" : "") +
                  ": no images in it (.jpg, .jpeg, .png, .webp, .bmp, .gif)");
}

using TakeImage = std::function<void(FoundImage)>;

// Hands on the images of a tar, named and placed, and tells of what else is in it. Returns their
// number.
std::uint64_t walk_images(ContainerWalk& walk, TarReader& reader, const TakeImage& take) {
  std::uint64_t images = 0;
  while (const auto member = reader.next()) {
    if (is_member_litter(*member)) continue;
    const std::string_view name = clean_name(member->name);
    if (const auto reason = why_no_image(*member)) {
      walk.add_problem(std::string(name), *reason);
      continue;
    }
    FoundImage image;
    image.key = name;
    image.offset = walk.keep(member->offset, member->bytes);
    image.bytes = member->bytes;
    take(std::move(image));
    ++images;
  }
  return images;
}

// All images of the tar are of one class.
void walk_class(ContainerWalk& walk, TarReader& reader, const std::string& label) {
  const std::uint64_t images = walk_images(walk, reader, [&](FoundImage image) {
    image.labels = {label};
    image.key = label + "/" + std::string(base_name(image.key));
    walk.add(std::move(image));
  });
  if (images == 0) walk.add_problem(label, "a tar of a class without images");
}

void walk_class_folders(ContainerWalk& walk) {
  TarReader reader(walk.file());
  walk_images(walk, reader, [&](FoundImage image) {
    const std::string_view folder = folder_of(image.key);
    if (folder.empty()) return walk.add_problem(image.key, "not in a folder of a class");
    image.labels = {std::string(folder)};
    walk.add(std::move(image));
  });
}

// A tar of tars that can only be read in sequence, or an inner tar.
void walk_tar_of_tars(ContainerWalk& walk) {
  const ContainerPart& part = walk.part();
  if (!part.label.empty()) {
    try {
      TarReader reader(walk.file());
      return walk_class(walk, reader, part.label);
    } catch (const DataError& error) {
      throw DataError(std::string(error.what()) + " (counted from byte " +
                      std::to_string(part.offset) + ", where its member " + part.label +
                      ".tar starts)");
    }
  }
  TarReader outer(walk.file());
  while (const auto member = outer.next()) {
    if (is_member_litter(*member)) continue;
    if (member->type == storage::TarType::kFile && is_tar_name(member->name, false)) {
      TarReader inner(walk.file(), member->offset, member->bytes);
      walk_class(walk, inner, std::string(tar_stem(member->name)));
    } else {
      walk.add_problem(member->name, "not a plain tar in a tar of tars");
    }
  }
}

// The tars in a tar that can be read anywhere; the tar itself when it cannot.
void add_inner_tars(storage::FileSystem& files, const std::string& path, ListingWriter& listing,
                    std::vector<ContainerPart>& parts) {
  const auto file = storage::open_plain_or_gzip(files, path);
  if (file->size() == storage::kUnknownSize) return parts.push_back({path, 0, kWholeFile, ""});
  TarReader reader(*file);
  while (const auto member = reader.next()) {
    if (is_member_litter(*member)) continue;
    if (member->type == storage::TarType::kFile && is_tar_name(member->name, false)) {
      parts.push_back({path, member->offset, member->bytes, std::string(tar_stem(member->name))});
    } else {
      listing.add_problem(path + ": " + member->name, "not a plain tar in a tar of tars");
    }
  }
}

std::string_view without_space(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

// The lines of a file without the empty ones at its end.
std::vector<std::string> read_labels(storage::FileSystem& files, const std::string& path) {
  const std::string content = storage::read_file(files, path);
  std::vector<std::string> lines;
  for (std::string_view rest = content; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    lines.emplace_back(without_space(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  const auto empty = std::ranges::find(lines, "");
  if (empty != lines.end()) {
    throw DataError(path + ":" + std::to_string(empty - lines.begin() + 1) +
                    ": a line without a label");
  }
  return lines;
}

// Replaces numbers by the names they have in the class list `path`.
void translate(storage::FileSystem& files, const TarInputOptions& options,
               std::vector<std::string>& labels) {
  const auto names = read_class_list(files, options.label_names_file).names;
  for (std::size_t line = 0; line < labels.size(); ++line) {
    std::int64_t number = 0;
    const char* end = labels[line].data() + labels[line].size();
    const auto result = std::from_chars(labels[line].data(), end, number);
    const auto wrong = [&](const std::string& reason) {
      return DataError(options.labels_file + ":" + std::to_string(line + 1) + ": `" + labels[line] +
                       "` " + reason);
    };
    if (result.ec != std::errc() || result.ptr != end) throw wrong("is not a number");
    const auto position =
        static_cast<std::uint64_t>(number) - static_cast<std::uint64_t>(options.label_first);
    if (number < options.label_first || position >= names.size()) {
      throw wrong("is not a number that " + options.label_names_file + " names: it has " +
                  std::to_string(names.size()) + " names, the first is number " +
                  std::to_string(options.label_first));
    }
    labels[line] = names[position];
  }
}

// One label for each of `images` images of `place`.
std::vector<std::string> labels_for(storage::FileSystem& files, const TarInputOptions& options,
                                    std::size_t images, const std::string& place) {
  auto labels = read_labels(files, options.labels_file);
  if (labels.size() != images) {
    throw DataError(options.labels_file + ": " + std::to_string(labels.size()) + " labels, but " +
                    place + " has " + std::to_string(images) + " images");
  }
  if (!options.label_names_file.empty()) translate(files, options, labels);
  return labels;
}

}  // namespace

TarInput::TarInput(storage::FileSystem& files, TarInputOptions options)
    : files_(files), options_(std::move(options)), tars_(find_tars(files, options_.paths)) {
  const std::string first = options_.paths.empty() ? "no path" : options_.paths.front();
  if (!options_.labels_file.empty()) {
    if (options_.paths.size() != 1 || tars_.size() > 1) {
      throw DataError(options_.labels_file + ": a list of labels is for one tar or folder, not " +
                      std::to_string(std::max(options_.paths.size(), tars_.size())));
    }
    layout_ = tars_.empty() ? Layout::kFolderWithLabels : Layout::kLabelList;
    return;
  }
  if (tars_.empty()) throw DataError(first + ": no tars in it (.tar, .tar.gz, .tgz)");
  layout_ = look(files_, tars_);
  if (layout_ == Layout::kTarPerClass && tars_.size() == 1) {
    throw DataError(tars_.front() +
                    ": one tar of images without folders, and no list of their labels (--labels)");
  }
}

std::string TarInput::kind() const {
  switch (layout_) {
    case Layout::kTarOfTars:
      return "tar of tars";
    case Layout::kTarPerClass:
      return "one tar per class";
    case Layout::kClassFolders:
      return "tar of class folders";
    case Layout::kLabelList:
      return "tar with a list of labels";
    case Layout::kFolderWithLabels:
      return "folder with a list of labels";
  }
  return "tars";
}

void TarInput::list(ListingWriter& listing) {
  if (layout_ == Layout::kLabelList) {
    list_with_labels(listing);
  } else if (layout_ == Layout::kFolderWithLabels) {
    list_folder(listing);
  } else {
    list_tars(listing);
  }
}

void TarInput::list_tars(ListingWriter& listing) const {
  std::vector<ContainerPart> parts;
  for (const std::string& path : tars_) {
    if (layout_ == Layout::kTarOfTars) {
      add_inner_tars(files_, path, listing, parts);
    } else {
      const bool is_class = layout_ == Layout::kTarPerClass;
      parts.push_back({path, 0, kWholeFile, is_class ? std::string(tar_stem(path)) : ""});
    }
  }
  for (const ContainerPart& part : parts) {
    if (part.label.empty()) continue;
    try {
      listing.labels().label(part.label, options_.label_first);  // although it may have no image
    } catch (const DataError&) {                                 // each of its images says so
    }
  }
  list_containers(files_, listing, parts, options_.threads, options_.label_first,
                  [&](ContainerWalk& walk) {
                    if (layout_ == Layout::kTarOfTars) return walk_tar_of_tars(walk);
                    if (layout_ == Layout::kClassFolders) return walk_class_folders(walk);
                    TarReader reader(walk.file());
                    walk_class(walk, reader, walk.part().label);
                  });
}

void TarInput::list_with_labels(ListingWriter& listing) const {
  const std::vector<ContainerPart> parts{{tars_.front(), 0, kWholeFile, ""}};
  list_containers(files_, listing, parts, 1, options_.label_first, [&](ContainerWalk& walk) {
    std::vector<FoundImage> images;
    TarReader reader(walk.file());
    walk_images(walk, reader, [&](FoundImage image) { images.push_back(std::move(image)); });
    std::ranges::sort(images, {}, &FoundImage::key);
    auto labels = labels_for(files_, options_, images.size(), tars_.front());
    for (std::size_t i = 0; i < images.size(); ++i) {
      images[i].labels = {std::move(labels[i])};
      walk.add(std::move(images[i]));
    }
  });
}

void TarInput::list_folder(ListingWriter& listing) const {
  const std::string& folder = options_.paths.front();
  ListedImage image;
  image.container = listing.add_container(folder);
  std::vector<std::string> names;
  for (const auto& entry : files_.list(folder)) {  // in byte order
    if (!entry.is_directory && !is_litter(entry.name) && is_image_name(entry.name)) {
      names.push_back(entry.name);
    }
  }
  const auto labels = labels_for(files_, options_, names.size(), folder);
  for (std::size_t i = 0; i < names.size(); ++i) {
    image.key = image.name = names[i];
    try {
      image.labels = {listing.labels().label(labels[i], options_.label_first)};
      listing.add(image);
    } catch (const DataError& error) {
      listing.add_problem(folder + "/" + names[i], error.what());
    }
  }
}

}  // namespace bit::pipeline
