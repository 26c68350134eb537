// What the names of a tar's members say: which are images, which are tars, which are litter.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/tar.h"

namespace bit::pipeline {

// Without "./" and "/" before it.
std::string_view clean_name(std::string_view name);
// Behind the last slash.
std::string_view base_name(std::string_view path);
// Behind the last dot of the base name, in lower case; empty when there is none.
std::string extension_of(std::string_view path);

// .jpg .jpeg .png .webp .bmp .gif
bool is_image_name(std::string_view path);
// .tar, and with `or_gzip` .tar.gz and .tgz
bool is_tar_name(std::string_view path, bool or_gzip);
// Base name without what is_tar_name() looks for.
std::string_view tar_stem(std::string_view path);
// What lies in a tar beside its images and is no loss: directories, hidden files (macOS's `._` and
// __MACOSX too), pages and lists (README, .txt, .xml, .json, .csv, .md, .html).
bool is_member_litter(const storage::TarMember& member);
// Why a member that is no litter is not an image to read; nullopt when it is one.
std::optional<std::string> why_no_image(const storage::TarMember& member);

}  // namespace bit::pipeline
