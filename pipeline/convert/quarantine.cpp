#include "pipeline/convert/quarantine.h"

#include <nlohmann/json.hpp>
#include <sstream>

namespace bit::pipeline {
namespace {

using Json = nlohmann::ordered_json;

// Whether a line speaks of `split`. A line that is not ours to understand is kept.
bool is_of_split(const std::string& line, const std::string& split) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.contains("split") && json["split"] == split;
}

std::string lines_of_other_splits(storage::FileSystem& files, const std::string& path,
                                  const std::string& split) {
  std::string kept;
  if (!files.exists(path)) return kept;
  std::istringstream lines(storage::read_file(files, path));
  for (std::string line; std::getline(lines, line);) {
    if (!is_of_split(line, split)) kept += line + "\n";
  }
  return kept;
}

// Puts `lines` in the place of the split's lines in `path`.
void replace_lines(storage::FileSystem& files, const std::string& path, const std::string& split,
                   const std::vector<Json>& lines) {
  std::string content = lines_of_other_splits(files, path, split);
  for (const Json& line : lines) {
    // A file name need not be UTF-8; JSON has to be.
    content += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  if (!content.empty()) {
    storage::write_file_atomically(files, path, content);
  } else if (files.exists(path)) {
    files.remove(path);
  }
}

}  // namespace

void write_quarantine(storage::FileSystem& files, const std::string& directory,
                      const std::string& split, std::span<const QuarantinedImage> images) {
  std::vector<Json> lines;
  for (const QuarantinedImage& image : images) {
    lines.push_back({{"split", split}, {"path", image.path}, {"reason", image.reason}});
  }
  replace_lines(files, directory + "/quarantine.jsonl", split, lines);
}

void write_duplicates(storage::FileSystem& files, const std::string& directory,
                      const std::string& split, std::span<const DuplicateImages> groups) {
  std::vector<Json> lines;
  for (const DuplicateImages& group : groups) {
    lines.push_back({{"split", split},
                     {"keys", group.keys},
                     {"labels", group.labels},
                     {"merged", group.merged}});
  }
  replace_lines(files, directory + "/duplicates.jsonl", split, lines);
}

}  // namespace bit::pipeline
