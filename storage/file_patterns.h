// What a person writes for a set of files: a path, a glob, braces or NAME@N, turned into the paths
// of files that are there. A set of which a part is missing is an error, never a smaller set.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "storage/file.h"

namespace bit::storage {

// `pattern` is one of, or a mixture:
//   a path                     itself, also when it holds characters with a meaning below
//   * ? [...]                  in any component; files in byte order. A leading dot is matched only
//                              by a dot; sidecars (*.idx) are passed over unless asked for
//   {a,b} {00000..01023}       alternatives in that order, which may be nested; every one must be
//                              there. Numbers are as wide as the first one
//   NAME@1024                  NAME-00000-of-01024 to NAME-01023-of-01024
//   NAME@*                     the same for the total that the files state
// No file is given twice. Throws DataError when nothing matches, naming the pattern; when files are
// missing, naming the first of them and how many there are; for what check_shard_sets refuses.
// StorageError for a directory that cannot be listed.
std::vector<std::string> expand_pattern(FileSystem& files, const std::string& pattern);

// Names with -NNNNN-of-NNNNN before their extension belong to sets, of which each must be complete
// in `paths` and state one total. Other names are left alone. Throws DataError.
void check_shard_sets(std::span<const std::string> paths);

}  // namespace bit::storage
