#include "pipeline/convert/member_names.h"

#include <algorithm>
#include <array>

#include "pipeline/convert/class_folders.h"

namespace bit::pipeline {
namespace {

using Names = std::initializer_list<std::string_view>;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_one_of(std::string_view text, Names names) {
  return std::ranges::find(names, text) != names.end();
}

// The end of the name that makes it a tar; empty when it is none.
std::string_view tar_ending(std::string_view path) {
  const std::string name = lower(base_name(path));
  for (const std::string_view ending : {".tar", ".tar.gz", ".tgz"}) {
    if (name.size() > ending.size() && name.ends_with(ending)) return ending;
  }
  return {};
}

}  // namespace

std::string_view clean_name(std::string_view name) {
  while (name.starts_with('/') || name.starts_with("./")) {
    name.remove_prefix(name.front() == '/' ? 1 : 2);
  }
  return name;
}

std::string_view base_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string extension_of(std::string_view path) {
  const std::string_view base = base_name(path);
  const std::size_t dot = base.rfind('.');
  return dot == std::string_view::npos ? "" : lower(base.substr(dot + 1));
}

bool is_image_name(std::string_view path) {
  return is_one_of(extension_of(path), {"jpg", "jpeg", "png", "webp", "bmp", "gif"});
}

bool is_tar_name(std::string_view path, bool or_gzip) {
  const std::string_view ending = tar_ending(path);
  return ending == ".tar" || (or_gzip && !ending.empty());
}

std::string_view tar_stem(std::string_view path) {
  const std::string_view base = base_name(path);
  return base.substr(0, base.size() - tar_ending(path).size());
}

bool is_member_litter(const storage::TarMember& member) {
  if (member.type == storage::TarType::kDirectory) return true;
  const std::string_view name = clean_name(member.name);
  const std::string_view base = base_name(name);
  return base.empty() || is_litter(base) || name.starts_with("__MACOSX/") ||
         lower(base).starts_with("readme") || lower(base).starts_with("license") ||
         is_one_of(extension_of(base), {"txt", "xml", "json", "csv", "tsv", "md", "html"});
}

std::optional<std::string> why_no_image(const storage::TarMember& member) {
  switch (member.type) {
    case storage::TarType::kLink:
      return "a link, which says nothing of where its bytes are";
    case storage::TarType::kSparse:
      return "a sparse file, whose bytes do not lie together";
    case storage::TarType::kDirectory:
    case storage::TarType::kOther:
      return "not a file";
    case storage::TarType::kFile:
      break;
  }
  if (is_tar_name(member.name, true)) return "a tar among images";
  if (!is_image_name(member.name)) {
    return "not an image by its name (.jpg, .jpeg, .png, .webp, .bmp, .gif)";
  }
  return std::nullopt;
}

}  // namespace bit::pipeline
